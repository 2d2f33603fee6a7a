"""The firewall's settings model: everything that its schema cannot say. Pure."""

from collections.abc import Iterator

from weft.firewall import filtering, mentions, names, wireguard
from weft.model.place import Place
from weft.model.setting_lines import Values

_PARTS = (wireguard, names, filtering)


class FirewallModel:
    """Checks the firewall's settings, and writes the files that it activates."""

    def check(self, values: Values, place: Place | None) -> list[str]:
        """What is wrong; each problem begins with its setting, of a list with the item.

        Without a place, what does not need one.
        """
        problems = wireguard.check(values, place)
        if place is not None and not problems:
            place = wireguard.add_zone(values, place)
        return problems + names.check(values, place) + filtering.check(values, place)

    def render(self, values: Values, place: Place) -> dict[str, str]:
        """The files that the appliance finds, by name. Settings and place have passed `check`."""
        place = wireguard.add_zone(values, place)
        files: dict[str, str] = {}
        for part in _PARTS:
            files |= part.render(values, place)
        return files

    def find_machines(self, values: Values) -> Iterator[tuple[str, str]]:
        """The machines that rules, sets, forwards and the like name, each with its item."""
        yield from mentions.find_machines(values)
