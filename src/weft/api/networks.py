"""Networks."""

from fastapi import APIRouter

from weft.api.deps import TheFabric
from weft.api.shield import finish
from weft.model.network import NetworkSpec, NetworkView

router = APIRouter(prefix="/networks", tags=["networks"])


@router.get("")
async def list_networks(fabric: TheFabric) -> list[NetworkView]:
    """All networks."""
    found = sorted(fabric.site.shelves.networks, key=lambda network: network.created)
    return [fabric.networks.view(network) for network in found]


@router.post("", status_code=201)
async def create_network(fabric: TheFabric, spec: NetworkSpec) -> NetworkView:
    """Make a network."""
    return fabric.networks.view(await finish(fabric.networks.create(spec)))


@router.get("/{name}")
async def get_network(fabric: TheFabric, name: str) -> NetworkView:
    """One network."""
    return fabric.networks.view(fabric.site.shelves.networks.get(name))


@router.delete("/{name}", status_code=204)
async def remove_network(fabric: TheFabric, name: str) -> None:
    """Remove a network that has no machines."""
    await finish(fabric.networks.remove(name))
