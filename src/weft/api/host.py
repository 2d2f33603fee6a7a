"""The host, and who has what of it."""

from fastapi import APIRouter

from weft.api.deps import TheFabric
from weft.model.host import HostView

router = APIRouter(tags=["system"])


@router.get("/host")
async def get_host(fabric: TheFabric) -> HostView:
    """What is promised, granted and used of this host, by room and machine, and who has lent what to whom."""
    return await fabric.host.view()
