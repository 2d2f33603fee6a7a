"""What becomes of something that a file names, or named: it comes, changes, goes, or is made anew. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from weft.model.network import NetworkSpec
from weft.model.steps import Kind
from weft.model.volume import VolumeSpec
from weft.plan.changes.words import compare

S = TypeVar("S", NetworkSpec, VolumeSpec)


@dataclass(frozen=True, slots=True)
class Fate(Generic[S]):
    """A part of a room before and after; None: there is none."""

    kind: ClassVar[Kind]
    room: str
    name: str
    before: S | None
    after: S | None

    @property
    def changed(self) -> list[str]:
        """The parts that differ, where there is one before and after."""
        if self.before is None or self.after is None:
            return []
        fields = type(self.before).model_fields
        return [part for part in fields if getattr(self.before, part) != getattr(self.after, part)]

    @property
    def is_remade(self) -> bool:
        """Whether it cannot become what it is to be, so another one takes its place."""
        raise NotImplementedError

    @property
    def goes(self) -> bool:
        """Whether the one that is there is taken away."""
        return self.before is not None and (self.after is None or self.is_remade)

    @property
    def comes(self) -> bool:
        """Whether one is made."""
        return self.after is not None and (self.before is None or self.is_remade)

    @property
    def why(self) -> list[str]:
        """What differs, in words."""
        return compare(self.before, self.after, self.changed) if self.before and self.after else []

    @property
    def gone(self) -> str | None:
        """The key of the step after which the old one is not there any more."""
        return f"{self.room}/{self.kind}/{self.name}/remove" if self.goes else None

    @property
    def made(self) -> str | None:
        """The key of the step after which it is as it is to be."""
        if not (self.comes or self.changed):
            return None
        return f"{self.room}/{self.kind}/{self.name}/{'create' if self.comes else 'change'}"


F = TypeVar("F", bound=Fate[NetworkSpec] | Fate[VolumeSpec])


def gone(fates: Mapping[str, F], name: str) -> str | None:
    """The step after which something is not there any more, if it goes."""
    return fates[name].gone if name in fates else None


def made(fates: Mapping[str, F], name: str) -> str | None:
    """The step after which something is as it is to be, if there is one."""
    return fates[name].made if name in fates else None
