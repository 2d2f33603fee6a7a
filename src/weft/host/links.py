"""Links and their filters, as the fabric sees them. `KernelLinks` is the real thing, `FakeLinks` plays it.

A filter sits at the ingress hook of a link, in a slot; the lowest slot is asked first. A redirect takes the frame, a
mirror copies it and lets the next slot have it too.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from weft.model.errors import Internal
from weft.model.wiring import Filter, FilterChange, FilterKind

VOID, VOID_END = "void0", "void1"
"""A pair of links to drop frames into: some kernels cannot drop in a filter (no act_gact)."""

HEARTBEAT_ETHERTYPE = 0x88B5
"""IEEE 802 local experimental ethertype 1."""


MAX_SLOT = 0xFFFF


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """What the kernel says about a link. `kind` is empty for what is no virtual link (loopback)."""

    name: str
    index: int
    kind: str
    alias: str
    up: bool
    carrier: bool
    master: str | None
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes and frames that have come in at a link and gone out by it since it was made."""

    received: int
    sent: int
    frames_received: int = 0
    frames_sent: int = 0


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link came, changed or went. `gone` links have neither carrier nor are they up."""

    name: str
    up: bool
    carrier: bool
    gone: bool = False


class FilterChangeFailed(Internal):
    """One of several changes was refused: the `applied` first ones were made, the rest were not tried."""

    def __init__(self, message: str, applied: int) -> None:
        super().__init__(message)
        self.applied = applied


async def keep_whole(links: "Links", present: Mapping[str, LinkInfo], name: str, alias: str) -> bool:
    """Whether a link is among those `present`. One that was still being made when a daemon died is removed.

    It is known by its alias, which a link gets last, its pair and its hook before.
    """
    found = present.get(name)
    if found is None or found.alias == alias:
        return found is not None
    await links.delete_link(name)
    return False


class Links(Protocol):
    """Everything the fabric does with links. All raise NotFound, Exists, Unavailable or Internal.

    Names are the kernel's, at most 15 bytes. `alias` names the owner of a link, at most 255 bytes.
    """

    async def create_bridge(self, name: str, *, mtu: int, alias: str) -> None:
        """A bridge that is up, without spanning tree or snooping, and without an address."""

    async def settle_bridge(self, name: str) -> None:
        """Give a bridge that is there, perhaps made by an earlier version, the settings of a new one."""

    async def create_port(self, bridge_side: str, patch_side: str, *, bridge: str, mtu: int, alias: str) -> None:
        """A pair of links, up, one end in the bridge; the other has a hook."""

    async def create_gateway(
        self, far_side: str, name: str, *, mtu: int, alias: str, mac: str, addresses: Sequence[str]
    ) -> None:
        """A pair of links, up: `far_side` has a hook; `name` has a fixed MAC and addresses, like `10.0.0.1/24`."""

    async def create_relay(self, name: str, far_side: str, *, namespace: int, mtu: int, alias: str) -> None:
        """A pair of links, one here, up, the other in the namespace of this descriptor, for `settle_relay` there."""

    async def settle_relay(self, far_side: str, *, alias: str) -> None:
        """The end of a pair that was made elsewhere: up, with a hook."""

    async def add_peer(self, name: str, own: str, peer: str) -> None:
        """Let an address be reached by a link, and nothing else; the link is called `own` there. No effect when it is
        so already."""

    async def strip_bridge(self, name: str, address: str) -> None:
        """Take the address off a bridge that has one, and give it another MAC: a gateway's link has both now."""

    async def create_tap(self, name: str, *, mtu: int, alias: str) -> None:
        """A tap that stays when its user goes, up, with a hook."""

    async def hand_on(self, name: str, *, mtu: int, alias: str) -> None:
        """A link goes to another owner, and stays as it is but for this."""

    async def open_tap(self, name: str) -> int:
        """A descriptor of a tap for QEMU to use, once frames can leave by it; the caller closes its copy.

        Raises WrongState when it is in use.
        """

    async def ensure_void(self) -> None:
        """Make `void0`, which swallows what is redirected to it."""

    async def delete_link(self, name: str) -> None:
        """Remove a link; a pair goes as a whole."""

    async def list_links(self) -> dict[str, LinkInfo]:
        """All links by name."""

    async def find_links(self, names: Collection[str]) -> dict[str, LinkInfo]:
        """Those of these names that are there: however many others there are, it takes no longer."""

    async def count_traffic(self) -> dict[str, Traffic]:
        """What every link has carried, by name."""

    async def ensure_hook(self, link: str) -> None:
        """Make the ingress hook that filters hang on, if it is not there."""

    async def add_filter(self, link: str, slot: int, kind: FilterKind, target: str) -> None:
        """Put a filter into a slot. Raises Exists when the slot is taken."""

    async def delete_filter(self, link: str, slot: int) -> None:
        """Empty a slot. Raises NotFound when it is empty."""

    async def apply_filters(self, changes: Sequence[FilterChange]) -> None:
        """Make changes in order, without giving way to anything else in between, so that no cancellation cuts
        them in two. Stops at the first refusal: FilterChangeFailed says how many were made."""

    async def list_filters(self, link: str) -> list[Filter]:
        """The filters of a link's hook by slot; heartbeat traps are not among them. A link without hook has none."""

    async def add_heartbeat_trap(self, link: str) -> None:
        """Let heartbeats that come in here end in `void0`. No effect when it is there already."""

    def watch_links(self) -> AsyncIterator[LinkEvent]:
        """Changes of links from the first step of the iteration on."""

    async def close(self) -> None:
        """Let go of the sockets; nothing in the kernel changes."""
