"""What a machine sees of the fabric's file tree, from inside, at the gateway of its network."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from weft.model.errors import Invalid
from weft.model.options import READ_ONLY, parse_expose

VISIT_HEADER = "Weft-Visit"
"""Of a request on behalf of a machine: its visit in one word."""


class TreePart(StrEnum):
    """A part of the tree: the machine itself, all of its room, or the whole fabric with everything that it can do."""

    MACHINE = "machine"
    ROOM = "room"
    FABRIC = "fabric"


class ExposeSpec(BaseModel):
    """One part that a machine is given. `read_only`: to look at, and to change nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: TreePart
    read_only: bool = False

    def __str__(self) -> str:
        """As it is written: `room:ro`."""
        return f"{self.part}:{READ_ONLY}" if self.read_only else str(self.part)


@dataclass(frozen=True, slots=True)
class Visit:
    """A machine that looks at the tree, or acts by it, and as how much of it it was given."""

    room: str
    machine: str
    given: ExposeSpec

    def __str__(self) -> str:
        """In one word, as a request carries it: `acme/web/room:ro`."""
        return f"{self.room}/{self.machine}/{self.given}"


def parse_visit(text: str) -> Visit:
    """What `str` made of a visit. Raises Invalid."""
    room, slash, rest = text.partition("/")
    machine, other, part = rest.partition("/")
    if not (slash and other and room and machine):
        raise Invalid(f"{text!r} does not say whose visit it is")
    return Visit(room, machine, ExposeSpec(**parse_expose(part)))


def check_parts(given: Iterable[ExposeSpec]) -> None:
    """Raises Invalid: a part is there twice."""
    parts = [one.part for one in given]
    for part in parts:
        if parts.count(part) > 1:
            raise Invalid(f"part {part} of the file tree is given twice")
