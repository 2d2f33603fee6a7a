"""Translation of addresses as nft reads it: forwards, reflection, masquerading. Pure."""

from weft.firewall.layout import Address, Layout
from weft.firewall.nft_matches import dump_choice, dump_sources
from weft.firewall.rule_lines import UDP
from weft.firewall.translation_lines import Forward

Lines = list[str]


def dump_nat(layout: Layout) -> Lines:
    """Both chains, even if there is nothing in them: without any the kernel would stop translating open flows."""
    return [
        "  chain prerouting {",
        "    type nat hook prerouting priority dstnat; policy accept;",
        *(f"    {line}" for where, forward in layout.sheet.forwards.items() for line in _enter(layout, where, forward)),
        "  }",
        "  chain postrouting {",
        "    type nat hook postrouting priority srcnat; policy accept;",
        *(f"    {line}" for line in [*_dump_hairpins(layout), *_dump_snats(layout), *_dump_masquerade(layout)]),
        "  }",
    ]


def _enter(layout: Layout, where: str, forward: Forward) -> Lines:
    """From outside to whichever address the firewall has; from inside to its address there, which is the reflection."""
    host = layout.find_host(forward)
    entrances, inner = layout.list_entrances(forward), layout.list_reflecting(forward)
    own = [str(address) for address in layout.list_own(*entrances) if address.version == host.version]
    lines = [_dnat(layout, where, forward, entrances, "fib daddr type local")] if entrances else []
    if own and inner:
        key = "ip" if host.version == 4 else "ip6"
        lines.append(_dnat(layout, where, forward, inner, f"{key} daddr {dump_choice(own)}"))
    return lines


def _dnat(layout: Layout, where: str, forward: Forward, zones: tuple[str, ...], outside: str) -> str:
    host = layout.find_host(forward)
    words = [f"meta nfproto ipv{host.version}", f"iifname {_nics(layout, zones)}", outside]
    words += dump_sources("", forward.source, layout, host.version)
    ports = str(forward.first) if forward.first == forward.last else f"{forward.first}-{forward.last}"
    words.append(f"{'udp' if forward.protocol == UDP else 'tcp'} dport {ports}")
    return " ".join([*words, f'counter dnat {_dump_host(host, forward.port)} comment "{where}"'])


def _dump_host(host: Address, port: int | None) -> str:
    if host.version == 4:
        return f"ip to {host}" if port is None else f"ip to {host}:{port}"
    return f"ip6 to {host}" if port is None else f"ip6 to [{host}]:{port}"


def _dump_hairpins(layout: Layout) -> Lines:
    """Who reaches a machine of his own zone by the firewall's address must have the answers come back by it."""
    zones = [zone for zone in layout.zones if zone.name in layout.inner]
    if not layout.sheet.forwards or not layout.sheet.reflection:
        return []
    word = 'counter masquerade comment "reflection"'
    return [f'iifname "{zone.nic}" oifname "{zone.nic}" ct status dnat {word}' for zone in zones]


def _dump_snats(layout: Layout) -> Lines:
    lines = []
    for where, snat in layout.sheet.snats.items():
        version, key = snat.address.version, "ip" if snat.address.version == 4 else "ip6"
        if layout.uplinks:
            words = [f"meta nfproto ipv{version}", f"oifname {_nics(layout, layout.uplinks)}"]
            words += dump_sources("", (snat.source,), layout, version)
            lines.append(" ".join([*words, f'counter snat {key} to {snat.address} comment "{where}"']))
    return lines


def _dump_masquerade(layout: Layout) -> Lines:
    zones = tuple(name for name in layout.masqueraded if name not in layout.uplinks)
    if not zones or not layout.uplinks:
        return []
    ways = f"iifname {_nics(layout, zones)} oifname {_nics(layout, layout.uplinks)}"
    return [f'meta nfproto ipv4 {ways} counter masquerade comment "masquerade"']


def _nics(layout: Layout, zones: tuple[str, ...]) -> str:
    return dump_choice([f'"{zone.nic}"' for zone in layout.zones if zone.name in zones])
