"""What a port may send, as elements of the table's sets: as text for nft, and as the kernel has them."""

import struct
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from weft.model.elements import SetElement
from weft.plan.pin_table import Forgery

Network = IPv4Network | IPv6Network
_NAME_BYTES = 16


class Stand(StrEnum):
    """What a port is: the names of the chains for it."""

    MACHINE = "machine"
    """It sends what comes from itself, and from networks behind it."""
    ROUTER = "router"
    """The gateway of its network: it sends what comes from elsewhere, too, and tells of routes and addresses."""
    FREE = "free"
    """Nothing is held against it."""


@dataclass(frozen=True, slots=True)
class Mac:
    """A hardware address, like `52:57:00:00:00:01`."""

    text: str


Value = Stand | Mac | Forgery | bytes | IPv4Address | IPv6Address | Network
"""What stands behind the link's name in a set; bytes are what nft has no name for."""


@dataclass(frozen=True, slots=True)
class Element:
    """One of the port at `link`."""

    link: str
    value: Value

    @property
    def text(self) -> str:
        """As nft reads it."""
        here, value = f'"{self.link}"', self.value
        match value:
            case Stand():
                return f"{here} : accept" if value is Stand.FREE else f"{here} : goto {value}"
            case Mac(text):
                return f"{here} . {text}"
            case bytes():
                return f"{here} . 0x{value.hex()}"
            case Forgery():
                return f"{here} . {value:d}"
            case _:
                return f"{here} . {value}"

    def pack(self, name: str) -> SetElement:
        """As the kernel has it in the set `name`."""
        value = self.value
        match value:
            case Stand():
                return SetElement(name, self._key(b""), chain="" if value is Stand.FREE else str(value))
            case Mac(text):
                return SetElement(name, self._key(bytes.fromhex(text.replace(":", ""))))
            case bytes():
                return SetElement(name, self._key(value))
            case Forgery():
                return SetElement(name, self._key(struct.pack("=I", value)))
            case IPv4Network() | IPv6Network():
                first, last = value.network_address.packed, value.broadcast_address.packed
                return SetElement(name, self._key(first), last=self._key(last))
            case _:
                return SetElement(name, self._key(value.packed))

    def _key(self, value: bytes) -> bytes:
        return self.link.encode().ljust(_NAME_BYTES, b"\0") + value + bytes(-len(value) % 4)
