"""What a settings model is: the part of Weft that knows more of an appliance's settings than their schema can say."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from weft.model.place import Place


class SettingsModel(Protocol):
    """Checks settings that fit their schema, and writes files from them. Pure: no input or output, no clock.

    Values are those that count, defaults included; what is not set and has no default is missing.
    """

    def check(self, values: Mapping[str, Any], place: Place | None) -> list[str]:
        """Everything that is wrong with them at this place, one sentence each.

        A sentence begins with the setting, of a list with the item too: `rules[3]: …`. Without a place, what does not
        depend on one.
        """
        ...

    def render(self, values: Mapping[str, Any], place: Place) -> dict[str, str]:
        """The files that the appliance's program activates: plain names, and contents.

        Values that `check` has nothing against. The names are always the same: a file that is not needed is empty.
        """
        ...

    def find_machines(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The machines that are named, each with the item that names it. They need not be there: they come and go."""
        ...
