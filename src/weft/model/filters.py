"""Which machines somebody wants to see: `KEY=VALUE`, or for labels `label=KEY[=VALUE]`."""

from collections.abc import Iterable
from dataclasses import dataclass

from weft.model.errors import Invalid
from weft.model.machine import MachineView

KEYS = ("health", "image", "label", "name", "network", "state")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; all that are given must hold."""

    key: str
    value: str

    def holds(self, view: MachineView) -> bool:
        """Whether a machine is wanted by it."""
        match self.key:
            case "label":
                label, equals, value = self.value.partition("=")
                return label in view.labels and (not equals or view.labels[label] == value)
            case "network":
                return any(place.network == self.value for place in view.networks)
            case "health":
                return view.health is not None and view.health.status == self.value
            case _:
                return str(getattr(view, self.key)) == self.value


def parse_filter(text: str) -> Filter:
    """A condition from text. Raises Invalid."""
    key, equals, value = text.partition("=")
    if key not in KEYS or not equals or not value:
        raise Invalid(f"filter {text!r} is not KEY=VALUE", hint=f"keys: {', '.join(KEYS)}")
    return Filter(key, value)


def all_hold(filters: Iterable[Filter], view: MachineView) -> bool:
    """Whether every condition holds for a machine."""
    return all(condition.holds(view) for condition in filters)
