"""The options of `weft run` that say which NICs a machine has, and the part of its spec that they make."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from weft.cli.params import Nic
from weft.model.errors import Invalid
from weft.model.names import DEFAULT_NETWORK
from weft.model.options import parse_nic

Command = TypeVar("Command", bound=Callable[..., Any])
_FIRST = {"address": "--ip", "address6": "--ip6", "mac": "--mac-address"}

_OPTIONS = (
    click.option("--network", "networks", type=Nic("network", parse_nic), multiple=True, metavar="NET[,KEY=VALUE]...",
                 help="A network for a NIC; repeat for more; `none`: no NIC. Default: the network `default`. "
                      "KEY: `address`, `address6`, `mac`."),
    click.option("--ip", "address", metavar="ADDRESS", help="The address of its first NIC. Default: a free one."),
    click.option("--ip6", "address6", metavar="ADDRESS", help="The same of IPv6. Default: the same number."),
    click.option("--mac-address", "mac", metavar="ADDRESS", help="The hardware address of its first NIC."),
)  # fmt: skip


def network_options(command: Command) -> Command:
    """All of them, in this order; their values are what `make_nics` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_nics(networks: Sequence[dict[str, Any]], **first: str | None) -> list[dict[str, Any]] | None:
    """The NICs that were asked for; None when nothing was said. `first` is said of the first one. Raises Invalid."""
    nics = [dict(nic) for nic in networks if nic != {"network": "none"}]
    said = {key: value for key, value in first.items() if value is not None}
    if not said:
        return nics if networks else None
    if networks and not nics:
        raise Invalid(f"{_FIRST[next(iter(said))]}: the machine is to have no NIC")
    nics = nics or [{"network": DEFAULT_NETWORK}]
    if twice := next((key for key in said if key in nics[0]), None):
        raise Invalid(f"{_FIRST[twice]}: the first NIC's {twice} is said twice")
    return [nics[0] | said, *nics[1:]]
