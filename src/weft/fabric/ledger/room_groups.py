"""The control groups of rooms: what each gets of the host's processors beside the others, and its bound."""

import logging
from collections.abc import Iterable

from weft.fabric.latching import limits_of
from weft.fabric.site import Site
from weft.host.facts import HostFacts
from weft.model.errors import Unavailable
from weft.model.room import RoomResources, RoomSpec
from weft.plan.ledger.shares import plan_weights

log = logging.getLogger(__name__)

PLAIN = RoomResources()


class RoomGroups:
    """Writes weights and bounds of all rooms' groups. As long as no room was given any, nothing is written."""

    def __init__(self, facts: HostFacts) -> None:
        self._cpus = facts.cpus
        self._weights: dict[str, int] = {}
        self._bounds: dict[str, float] = {}

    def apply(self, rooms: Iterable[tuple[Site, RoomSpec]]) -> None:
        """Make it so. A group that takes no limit is told of in the log: machines run all the same."""
        sites = {spec.name: (site, spec.resources) for site, spec in rooms}
        wanted = plan_weights(
            self._cpus,
            {name: resources.cpus for name, (_, resources) in sites.items() if resources.cpus is not None},
            {name: resources.cpu_weight for name, (_, resources) in sites.items()},
        )
        for name, (site, resources) in sites.items():
            try:
                if self._weights.get(name, PLAIN.cpu_weight) != wanted[name]:
                    site.cgroups.set_weight(wanted[name])
                if self._bounds.get(name) != resources.max_cpus:
                    _bound(site, resources.max_cpus)
            except Unavailable as err:
                log.warning("control group of room %s: %s", name, err.message)
        self._weights = wanted
        self._bounds = {
            name: resources.max_cpus for name, (_, resources) in sites.items() if resources.max_cpus is not None
        }


def _bound(site: Site, most: float | None) -> None:
    """In version 1 no group may have more than the one around it, at no moment: that is set free in between."""
    site.cgroups.set_cpus(None)
    shelves = site.shelves
    machines = {one.group_name: one for one in (*shelves.machines, *(copy.machine for copy in shelves.copies))}
    for name in site.cgroups.names():
        limit = limits_of(site, machines[name]).cpus if name in machines else most
        site.cgroups.group(name).set_cpus(limit)
    site.cgroups.set_cpus(most)
