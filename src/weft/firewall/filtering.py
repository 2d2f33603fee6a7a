"""Rules, policies, sets and translation: checks, and the files that nft loads."""

from weft.firewall.lines import Values
from weft.model.place import Place

RULES = "rules.nft"
"""Replaces the whole table in one step, with `nft -f`; open flows that it allows live on."""

TAKEOVER = "takeover.nft"
"""Lets flows in that began before the firewall came: loaded after `rules.nft`, in one step with it.

It is for the time after a hot insertion; `nft flush chain FAMILY weft takeover` ends that time. FAMILY is `bridge` in
stance bridge and `inet` elsewhere.
"""


def check(values: Values, place: Place | None) -> list[str]:
    """What is wrong with these settings, each naming its setting, and for lists the item."""
    return []


def render(values: Values, place: Place) -> dict[str, str]:
    """File name → content. Settings and place have passed `check`."""
    return {RULES: "", TAKEOVER: ""}
