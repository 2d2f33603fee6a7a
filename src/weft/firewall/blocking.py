"""Addresses from which nothing gets through for a while: rules before all others. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

NAME = "blocked"
"""What these rules are called; by it, and by nothing else, they are known again."""
_LINE = re.compile(rf"drop any -> any from (\S+)(?: until (\S+))? name {NAME}")
_MINUTE = timedelta(minutes=1)


def block_address(rules: Sequence[str], address: str, seconds: float | None, now: float) -> list[str]:
    """The rules with one against an address or network, for so long or for ever. Those that are over are left out.

    The end is at a whole minute, not before it is due. Raises ValueError.
    """
    network = _parse(address)
    until = "" if seconds is None else f" until {_dump_minute(now + seconds)}"
    rest = [line for line in rules if _find_blocked(line) != network and not _is_over(line, now)]
    return [f"drop any -> any from {network}{until} name {NAME}", *rest]


def unblock_address(rules: Sequence[str], address: str, now: float) -> list[str] | None:
    """The rules without that one; None: it is not blocked. Raises ValueError."""
    network = _parse(address)
    rest = [line for line in rules if _find_blocked(line) != network]
    return None if len(rest) == len(rules) else [line for line in rest if not _is_over(line, now)]


def _parse(address: str) -> str:
    """An address as rules have it: one machine's is without its length."""
    network = ip_network(address)
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _find_blocked(line: str) -> str | None:
    match = _LINE.fullmatch(line.strip())
    return match[1] if match else None


def _is_over(line: str, now: float) -> bool:
    match = _LINE.fullmatch(line.strip())
    if match is None or match[2] is None:
        return False
    try:
        return datetime.fromisoformat(match[2]).timestamp() <= now
    except (ValueError, OverflowError, OSError):
        return False


def _dump_minute(moment: float) -> str:
    """The first whole minute that is not before a moment."""
    exact = datetime.fromtimestamp(moment, UTC)
    whole = exact.replace(second=0, microsecond=0)
    return f"{whole if whole == exact else whole + _MINUTE:%Y-%m-%dT%H:%MZ}"
