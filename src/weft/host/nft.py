"""The rules inside a room's namespace: loaded all at once, and asked what they have counted."""

from weft.host.namespace import Namespace
from weft.host.process import ProcessFailed, run
from weft.model.errors import Internal

_TIMEOUT = 10.0


async def load_ruleset(namespace: Namespace, ruleset: str) -> None:
    """Carry out what nft reads, as a whole or not at all. Raises Unavailable or Internal (nft refuses)."""
    try:
        await run(namespace.argv(["nft", "-f", "-"]), input=ruleset.encode(), timeout=_TIMEOUT)
    except ProcessFailed as err:
        said = (err.detail or "").splitlines() or ["it said nothing"]
        raise Internal(f"nft refuses the rules: {said[0]}", detail=err.detail) from err


async def list_set(namespace: Namespace, table: str, name: str) -> str:
    """A set with what it has counted, as nft's JSON. Raises Internal: there is none."""
    done = await run(namespace.argv(["nft", "-j", "list", "set", *table.split(), name]), timeout=_TIMEOUT)
    return done.text
