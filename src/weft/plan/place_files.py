"""A place as files for an appliance's programs: `place.json`, and the same for shells. Pure."""

import shlex

from weft.model.place import Place

JSON_FILE, SHELL_FILE = "place.json", "place.env"


def dump_place(place: Place) -> dict[str, str]:
    """Both files."""
    return {JSON_FILE: place.model_dump_json(indent=1) + "\n", SHELL_FILE: dump_place_shell(place)}


def dump_place_shell(place: Place) -> str:
    """Assignments for a shell. Of zones there are lists in one order, and the addresses of each NIC; of neighbours
    their address and hardware address."""
    values = {
        "STANCE": place.stance.value,
        "ZONES": " ".join(zone.name for zone in place.zones),
        "NICS": " ".join(zone.nic for zone in place.zones),
        "UPLINK": " ".join(zone.name for zone in place.zones if zone.uplink),
        "UPLINK_NIC": " ".join(zone.nic for zone in place.zones if zone.uplink),
        "GATEWAY": place.gateway or "",
        "GATEWAY_MAC": place.gateway_mac or "",
        "RESOLVERS": " ".join(place.resolvers),
        "NEIGHBOURS": " ".join(f"{other.address},{other.mac}" for other in place.neighbours),
        "SINCE": "" if place.since is None else str(place.since),
        **{f"ADDRESSES_{zone.nic}": " ".join(zone.addresses) for zone in place.zones},
        **{f"MTU_{zone.nic}": str(zone.mtu) for zone in place.zones},
    }
    return "".join(f"PLACE_{name}={shlex.quote(value)}\n" for name, value in values.items())


def without_neighbours(place: Place) -> Place:
    """What of a place does not change with the machines around it."""
    return place.model_copy(update={"neighbours": ()})


def name_zones(names: list[str]) -> list[str]:
    """Names for zones: those of their networks; a network's second NIC has a number."""
    return [f"{name}-{names[:at].count(name) + 1}" if name in names[:at] else name for at, name in enumerate(names)]
