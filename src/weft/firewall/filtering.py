"""Rules, policies, sets and translation: checks, and the files that nft loads."""

from weft.firewall import wireguard
from weft.firewall.dns import WIREGUARD_ZONE
from weft.firewall.layout import lay_out, list_ends, list_named
from weft.firewall.management import check_management
from weft.firewall.nft_text import dump_ruleset, dump_takeover
from weft.firewall.rule_lines import SELF
from weft.firewall.sheet import Sheet, find_forward_versions, read_sheet
from weft.firewall.translation_lines import Forward
from weft.model.place import Place, Stance
from weft.model.setting_lines import Values

RULES = "rules.nft"
"""Replaces the whole table in one step, with `nft -f`; open flows that it allows live on."""

TAKEOVER = "takeover.nft"
"""Lets flows in that began before the firewall came: loaded after `rules.nft`, in one step with it.

It is for the time after a hot insertion; `nft flush chain FAMILY weft takeover` ends that time. FAMILY is `bridge` in
stance bridge and `inet` elsewhere.
"""

_OF_ADDRESSES = ("forwards", "snat", "masquerade", "management")
"""What a bridge cannot do."""


def check(values: Values, place: Place | None) -> list[str]:
    """What is wrong with these settings, each naming its setting, and for lists the item."""
    problems: list[str] = []
    sheet = read_sheet(values, place, problems)
    if place is None:
        return problems
    problems += _check_zones(values, sheet, place) + _check_forwards(sheet)
    if place.stance is Stance.BRIDGE:
        problems += _check_bridge(values, sheet)
    if problems or not sheet.management or wireguard.check(values, place):
        return problems
    return check_management(lay_out(values, place))


def render(values: Values, place: Place) -> dict[str, str]:
    """File name → content. Settings and place have passed `check`. A listener filters nothing."""
    if place.stance is Stance.LISTENER:
        return {RULES: "", TAKEOVER: ""}
    layout = lay_out(values, place)
    return {RULES: dump_ruleset(layout), TAKEOVER: dump_takeover(layout)}


def _check_zones(values: Values, sheet: Sheet, place: Place) -> list[str]:
    known = [zone.name for zone in place.zones]
    if values.get("wireguard.address") and WIREGUARD_ZONE not in known:
        known.append(WIREGUARD_ZONE)
    choices = ", ".join(known)
    return [
        f"{where}: there is no zone {name!r}; there are {choices}"
        for where, name in list_named(sheet)
        if name not in known
    ]


def _check_bridge(values: Values, sheet: Sheet) -> list[str]:
    problems = [f"{name}: a bridge has no address of its own" for name in _OF_ADDRESSES if values.get(name)]
    return problems + [
        f"{where}: a bridge has no address of its own" for where, *ends in list_ends(sheet) if SELF in ends
    ]


def _check_forwards(sheet: Sheet) -> list[str]:
    """A port that an earlier line takes for everybody never comes to a later one."""
    problems = []
    lines = list(sheet.forwards.items())
    for at, (where, line) in enumerate(lines):
        for before, other in lines[:at]:
            same = (line.protocol, line.zone) == (other.protocol, other.zone) and not other.source
            if same and line.first <= other.last and other.first <= line.last and _meet(sheet, line, other):
                problems.append(f"{where}: {before} has the port already")
    return problems


def _meet(sheet: Sheet, line: Forward, other: Forward) -> bool:
    """Whether they are for the same version of IP."""
    return min(find_forward_versions(line, sheet.book)) == min(find_forward_versions(other, sheet.book))
