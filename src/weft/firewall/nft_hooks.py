"""Where packets meet the rules: nft's hooks, and the way from them to what is asked between two sides. Pure."""

from weft.firewall.layout import Layout

MARK_HERE = "GENERATION"
"""Stands for the ruleset's number until the whole text is there, of which it is made."""
GENERATION_BITS = 0xFFFF
"""Of a flow's mark: the ruleset that accepted it."""
TAKEN = 0x10000
"""Of a flow's mark: it was there before the firewall, so who began it is not known."""
HEARTBEAT = 0x88B5

_KNOWN = f"ct mark & {GENERATION_BITS:#x} == {MARK_HERE} accept"
_RELATED = f"ct state related ct mark & {GENERATION_BITS:#x} != 0 accept"
_INVALID = 'ct state invalid counter drop comment "invalid"'
_NOWHERE = 'counter drop comment "no zone"'
# Neighbours, routers and groups of IPv6: the kernel knows no flows of these.
_ND = "icmpv6 type { 130-137, 143 } accept"
_DISPATCH = (
    f"ct mark & {TAKEN:#x} != 0 jump taken",
    "ct direction original meta iifname . meta oifname vmap @forwarded",
    "ct direction reply meta oifname . meta iifname vmap @forwarded",
)
_TURNED = (
    "ct direction original meta oifname . meta iifname vmap @turned",
    "ct direction reply meta iifname . meta oifname vmap @turned",
)
_DHCP_ANSWERS = {67: 68, 547: 546}
"""The client's port by the server's. Answers go elsewhere than the question came from, so they belong to no flow."""
_REFUSED = {"refused4": ("ip", "ipv4_addr"), "refused6": ("ip6", "ipv6_addr")}
_ENDS = "{ip} saddr . {ip} daddr . meta l4proto . th sport . th dport"
Lines = list[str]


def dump_hooks(layout: Layout) -> Lines:
    """All base chains but those of translation."""
    lines = dump_chain("taken", [*_TURNED])
    if layout.is_bridge:
        return lines + _dump_bridge()
    lines += _hook("forward", [_KNOWN, _RELATED, "jump takeover", _INVALID, *_DISPATCH, _NOWHERE])
    return lines + _dump_input() + _dump_output(layout)


def dump_chain(name: str, lines: Lines) -> Lines:
    """A chain."""
    return [f"  chain {name} {{", *(f"    {line}" for line in lines), "  }"]


def dump_refused() -> Lines:
    """The sets of what a bridge has refused.

    It can answer only before it knows where a frame goes, which is too early to judge it. So what was refused is
    remembered, and answered when it is sent again.
    """
    lines = []
    for name, (_, kind) in _REFUSED.items():
        lines += [f"  set {name} {{", f"    type {kind} . {kind} . inet_proto . inet_service . inet_service"]
        lines += ["    flags dynamic, timeout", "    timeout 10s", "    size 1024", "  }"]
    return lines


def remember_refused() -> Lines:
    """What puts a packet's ends there."""
    return [
        f"meta l4proto {{ tcp, udp }} update @{name} {{ {_ENDS.format(ip=key)} }}"
        for name, (key, _) in _REFUSED.items()
    ]


def _dump_input() -> Lines:
    begun, answer = "ct direction original iifname vmap @entering", "ct direction reply iifname vmap @leaving"
    return _hook("input", ['iifname "lo" accept', _KNOWN, _RELATED, _ND, _INVALID, begun, answer, _NOWHERE])


def _dump_output(layout: Layout) -> Lines:
    """Errors and resets are the firewall's own word, whatever they are about."""
    nics = {zone.name: zone.nic for zone in layout.zones}
    answers = [
        f'oifname "{nics[service.zone]}" udp sport {port} udp dport {_DHCP_ANSWERS[port]} accept'
        for service in layout.services
        for port in service.ports
        if service.protocol == "udp" and port in _DHCP_ANSWERS and service.zone in nics
    ]
    begun, answer = "ct direction original oifname vmap @leaving", "ct direction reply oifname vmap @entering"
    head = ['oifname "lo" accept', _KNOWN, "ct state related accept", _ND]
    return _hook("output", [*head, *answers, begun, answer, _NOWHERE])


def _dump_bridge() -> Lines:
    others = [
        f"meta protocol {{ arp, {HEARTBEAT:#x} }} accept",
        "meta protocol != { ip, ip6 } meta iifname . meta oifname vmap @unknown",
    ]
    lines = _hook("forward", [*others, _KNOWN, _RELATED, "jump takeover", _ND, _INVALID, *_DISPATCH, _NOWHERE])
    ends = [f"{_ENDS.format(ip=key)} @{name}" for name, (key, _) in _REFUSED.items()]
    told = [
        f"{end} {how}"
        for end in ends
        for how in ("meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited")
    ]
    return lines + dump_chain("refusals", ["type filter hook prerouting priority filter; policy accept;", *told])


def _hook(hook: str, lines: Lines) -> Lines:
    return dump_chain(hook, [f"type filter hook {hook} priority filter; policy drop;", *lines])
