"""What may pass inside the fabric's namespace: networks never meet, and only those with an uplink get out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from weft.plan.address import UPSTREAM
from weft.plan.callers import Caller, plan_caller_rule, plan_caller_set

TABLE = "inet weft"
REFUSED = (567, 5356)
"""Where a Plan 9 machine asks the server of its root for tickets and secrets (authsrv(6), secstore(1)). Nobody listens
there, and that is to be said: one that hears nothing waits for minutes before it goes on booting."""


@dataclass(frozen=True, slots=True)
class RuledNetwork:
    """A network as the rules see it: the link with its gateway's address, its range (`10.0.0.0/24`), that address.

    `behind` is what has taken over the gateway's address, if anything has. `silent`: its gateway refuses nothing, since
    machines are there that answer to what it has never asked.
    """

    link: str
    subnet: str
    gateway: str
    uplink: bool = False
    behind: str | None = None
    silent: bool = False

    @property
    def sources(self) -> str:
        """Who may be the source of what comes from there."""
        return f"{{ {self.subnet}, {self.behind} }}" if self.behind else self.subnet


def plan_ruleset(networks: Sequence[RuledNetwork], uplink: str = "uplink", callers: Collection[Caller] = ()) -> str:
    """The whole ruleset as nft reads it; loading it replaces the one before in one step.

    A machine may ask its own gateway for names and send it echo requests; so may what has taken over the gateway's
    address, which calls it UPSTREAM. `callers` may call the gateway for what is served to them. A machine gets out only
    through the link `uplink`, only with an address of its own network, and only where that network has an uplink. From
    outside nothing comes in but answers.
    """
    lines = [f"add table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{", f"  {plan_caller_set(callers)}"]
    lines += _plan_chain("input", "filter", _plan_input(networks))
    lines += _plan_chain("forward", "filter", _plan_forward(networks, uplink))
    lines += _plan_silence(networks)
    lines += _plan_names(networks)
    lines += _plan_nat(networks, uplink)
    return "\n".join([*lines, "}", ""])


def _plan_input(networks: Sequence[RuledNetwork]) -> list[str]:
    rules = ['iifname "lo" accept']
    for network in networks:
        here = f'iifname "{network.link}" ip saddr {network.sources}'
        rules += [
            f"{here} ip daddr {network.gateway} udp dport 53 accept",
            f"{here} ip daddr {network.gateway} tcp dport 53 accept",
            f"{here} ip daddr {{ {network.gateway}, {UPSTREAM} }} icmp type echo-request accept",
            f"{here} ip daddr {network.gateway} tcp dport {{ {REFUSED[0]}, {REFUSED[1]} }} accept",
            plan_caller_rule(network.link, network.gateway),
        ]
    return rules


def _plan_forward(networks: Sequence[RuledNetwork], uplink: str) -> list[str]:
    return [
        f'iifname "{network.link}" oifname "{uplink}" ip saddr {network.sources} accept'
        for network in networks
        if network.uplink
    ]


def _plan_silence(networks: Sequence[RuledNetwork]) -> list[str]:
    links = [network.link for network in networks if network.silent]
    if not links:
        return []
    refusals = ("tcp flags & rst == rst", "icmp type destination-unreachable")
    rules = [f'    oifname "{link}" {refusal} drop' for link in links for refusal in refusals]
    return ["  chain output {", "    type filter hook output priority filter; policy accept;", *rules, "  }"]


def _plan_chain(hook: str, priority: str, rules: Sequence[str]) -> list[str]:
    head = [
        f"type filter hook {hook} priority {priority}; policy drop;",
        'iifname "n*" drop',  # what is sent to a bridge itself would go round the gateway's port
        "ct state established,related accept",
        "ct state invalid drop",
    ]
    return [f"  chain {hook} {{", *(f"    {line}" for line in [*head, *rules]), "  }"]


def _plan_names(networks: Sequence[RuledNetwork]) -> list[str]:
    """All networks have the address UPSTREAM in common, and the name server of each listens at its own gateway's."""
    rules = [
        f'    iifname "{network.link}" ip daddr {UPSTREAM} meta l4proto {{ tcp, udp }} th dport 53 dnat ip to '
        f"{network.gateway}"
        for network in networks
    ]
    head = ["  chain prerouting {", "    type nat hook prerouting priority dstnat; policy accept;"]
    return [*head, *rules, "  }"] if rules else []


def _plan_nat(networks: Sequence[RuledNetwork], uplink: str) -> list[str]:
    if not any(network.uplink for network in networks):
        return []
    return [
        "  chain postrouting {",
        "    type nat hook postrouting priority srcnat; policy accept;",
        f'    oifname "{uplink}" masquerade',
        "  }",
    ]
