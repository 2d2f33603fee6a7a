"""Networks."""

from fastapi import APIRouter

from weft.api.deps import TheRoom, TheRooms
from weft.api.shield import finish
from weft.api.visits import TheVisit
from weft.model.network import NetworkSpec, NetworkView
from weft.plan.visits import check_network

router = APIRouter(prefix="/networks", tags=["networks"])


@router.get("")
async def list_networks(rooms: TheRooms) -> list[NetworkView]:
    """All networks."""
    return [
        room.networks.view(network)
        for room in rooms
        for network in sorted(room.site.shelves.networks, key=lambda network: network.created)
    ]


@router.post("", status_code=201)
async def create_network(room: TheRoom, visit: TheVisit, spec: NetworkSpec) -> NetworkView:
    """Make a network."""
    if visit is not None:
        check_network(visit, spec)
    return room.networks.view(await finish(room.networks.create(spec)))


@router.get("/{name}")
async def get_network(room: TheRoom, name: str) -> NetworkView:
    """One network."""
    return room.networks.view(room.site.shelves.networks.get(name))


@router.delete("/{name}", status_code=204)
async def remove_network(room: TheRoom, name: str) -> None:
    """Remove a network that has no machines."""
    await finish(room.networks.remove(name))
