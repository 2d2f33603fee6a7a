"""Firewalls: what they do, and short ways to change what they do."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.model.config import ConfigView
from weft.model.firewall import (
    BlockWish,
    ClientView,
    ClientWish,
    ConnectionView,
    LeaseView,
    LogView,
    PeerView,
    RuleView,
)

router = APIRouter(prefix="/machines/{name}/firewall", tags=["firewalls"])


@router.get("/rules")
async def list_rules(room: TheRoom, name: str) -> list[RuleView]:
    """A firewall's rules in their order, with what each has counted."""
    return await room.firewalls.rules(name)


@router.get("/connections")
async def list_connections(room: TheRoom, name: str) -> list[ConnectionView]:
    """The connections that a firewall follows."""
    return await room.firewalls.connections(name)


@router.get("/log", response_class=StreamingResponse)
async def read_firewall_log(room: TheRoom, name: str, follow: bool = False) -> StreamingResponse:
    """What a firewall's rules have logged: an object of JSON on each line. With `follow` it goes on."""
    await room.firewalls.subject(name)
    await room.runs.reach(name)  # what is wrong becomes an error, not a broken stream
    return StreamingResponse(_dump(room.firewalls.log(name, follow=follow)), media_type="application/x-ndjson")


@router.get("/leases")
async def list_leases(room: TheRoom, name: str) -> list[LeaseView]:
    """The addresses that a firewall has given."""
    return await room.firewalls.leases(name)


@router.get("/clients")
async def list_clients(room: TheRoom, name: str) -> list[PeerView]:
    """The other ends of a firewall's tunnel."""
    return await room.firewalls.clients(name)


@router.post("/clients", status_code=201)
async def add_client(room: TheRoom, name: str, body: ClientWish) -> ClientView:
    """Give a firewall's tunnel a client with new keys. Its private key is in this answer and nowhere else."""
    return await finish(room.firewall_changes.add_client(name, body))


@router.delete("/clients/{peer}")
async def remove_client(room: TheRoom, name: str, peer: str) -> ConfigView:
    """Take a client or site away from a firewall's tunnel."""
    return await finish(room.firewall_changes.remove_client(name, peer))


@router.post("/block")
async def block_address(room: TheRoom, name: str, body: BlockWish) -> ConfigView:
    """Let nothing from an address through, before all other rules."""
    return await finish(room.firewall_changes.block(name, body))


@router.post("/unblock")
async def unblock_address(room: TheRoom, name: str, body: BlockWish) -> ConfigView:
    """Take a block away."""
    return await finish(room.firewall_changes.unblock(name, body))


async def _dump(views: AsyncIterator[LogView]) -> AsyncIterator[str]:
    async for view in views:
        yield view.model_dump_json() + "\n"
