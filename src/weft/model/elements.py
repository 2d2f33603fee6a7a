"""Elements of nftables sets, as the kernel has them: plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetElement:
    """One element of the set `name`. Each field of a key is padded to four bytes.

    `last`: the key that a range ends with. In a map of verdicts `chain` is where frames go on; empty is to accept them.
    """

    name: str
    key: bytes
    last: bytes | None = None
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class ElementChanges:
    """What leaves sets of one table, and then what comes into them."""

    gone: tuple[SetElement, ...] = ()
    come: tuple[SetElement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gone or self.come)
