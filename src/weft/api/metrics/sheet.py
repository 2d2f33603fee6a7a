"""A sheet of samples, by family: plain values, whatever format they are sent in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """A counter only grows, or begins anew; a gauge goes up and down."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name, which is in base units and ends in `_total` if it is a counter."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return Kind.COUNTER if self.name.endswith("_total") else Kind.GAUGE


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of a family's labels, in its order, and its value then."""

    labels: tuple[str, ...]
    value: float


@dataclass(slots=True)
class Sheet:
    """Samples of these families, of which each may have none."""

    families: Mapping[str, Family]
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    @classmethod
    def of(cls, families: Iterable[Family]) -> "Sheet":
        return cls({family.name: family for family in families})

    def add(self, name: str, value: float | None, /, **labels: object) -> None:
        """A sample; none if there is no value. Raises KeyError for a family or label that is not declared."""
        family = self.families[name]
        if set(labels) != set(family.labels):
            raise KeyError(f"{name} has labels {family.labels}")
        if value is not None:
            values = tuple(str(labels[label]) for label in family.labels)
            self.samples.setdefault(name, []).append(Sample(values, value))
