"""/weft.conf: both ends read what is written, and what is wrong is refused before a machine starts."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.guest_library import accepts_config, config_hostname

from weft.guest.config import (
    RESTARTS,
    GuestConfig,
    GuestHost,
    GuestMount,
    GuestNic,
    GuestRoot,
    dump_guest_config,
    parse_guest_config,
)
from weft.model.errors import Invalid

REFERENCE = Path(__file__).parents[2] / "docs/reference/guest-config.md"

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
names = words.filter(lambda word: "=" not in word)
nics = st.lists(
    st.builds(
        GuestNic,
        mac=st.integers(0, 2**48 - 1).map(lambda n: ":".join(f"{n:012x}"[i : i + 2] for i in range(0, 12, 2))),
        name=st.from_regex(r"[a-z]{1,8}[0-9]?", fullmatch=True),
        addresses=st.lists(st.ip_addresses().map(lambda ip: f"{ip}/24"), max_size=3).map(tuple),
        gateways=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
        mtu=st.none() | st.integers(68, 65535),
    ),
    max_size=4,
    unique_by=lambda nic: nic.name,
).map(tuple)
configs = st.builds(
    GuestConfig,
    hostname=st.none() | words,
    root=st.none() | st.builds(GuestRoot, serial=words, type=words),
    overlay=st.none() | st.integers(1, 10**12) | st.just("50%"),
    nics=nics,
    dns=st.lists(words, max_size=3).map(tuple),
    search=st.lists(words, max_size=3).map(tuple),
    hosts=st.lists(st.builds(GuestHost, address=words, name=words), max_size=3).map(tuple),
    argv=st.lists(values, max_size=4).map(tuple).filter(lambda argv: not argv or bool(argv[0])),
    env=st.dictionaries(names, values, max_size=3),
    cwd=st.none() | words,
    user=st.none() | words,
    restart=st.sampled_from(RESTARTS),
    mounts=st.lists(
        st.builds(GuestMount, serial=words, at=values.map("/".__add__), type=words, read_only=st.booleans()), max_size=2
    ).map(tuple),
    sysctls=st.dictionaries(st.from_regex(r"[a-z]+(\.[a-z0-9_-]+){1,3}", fullmatch=True), words, max_size=3),
)


@given(configs)
def test_both_ends_read_what_is_written(config: GuestConfig) -> None:
    text = dump_guest_config(config)
    assert parse_guest_config(text) == config
    assert accepts_config(text)
    assert config_hostname(text) == (config.hostname.encode() if config.hostname else None)


def test_wires() -> None:
    pair = tuple(GuestNic(f"52:54:00:00:00:0{n}", f"eth{n}") for n in range(3))
    config = GuestConfig(nics=pair, wires=(("eth0", "eth2"),))
    assert parse_guest_config(dump_guest_config(config)) == config
    assert accepts_config(dump_guest_config(config))


NIC = GuestNic("52:54:00:00:00:01", "eth0")


@pytest.mark.parametrize(
    "config",
    [
        GuestConfig(nics=(GuestNic("52:54:00:00:00", "eth0"),)),
        GuestConfig(nics=(GuestNic(NIC.mac, "much-too-long-name"),)),
        GuestConfig(nics=(GuestNic(NIC.mac, "eth0", ("10.0.0.300/24",)),)),
        GuestConfig(nics=(GuestNic(NIC.mac, "eth0", mtu=70000),)),
        GuestConfig(nics=(NIC, NIC)),
        GuestConfig(nics=(NIC,), wires=(("eth0", "eth0"),)),
        GuestConfig(nics=(NIC,), wires=(("eth0", "eth9"),)),
        GuestConfig(overlay="half"),
        GuestConfig(argv=("",)),
        GuestConfig(env={"A=B": "c"}),
        GuestConfig(hostname=""),
        GuestConfig(hostname="a\0b"),
        GuestConfig(mounts=(GuestMount("s", "relative", "vfat"),)),
        GuestConfig(argv=("x" * 300_000,)),
    ],
)
def test_what_the_guest_would_refuse_is_not_written(config: GuestConfig) -> None:
    with pytest.raises(Invalid, match="guest configuration"):
        dump_guest_config(config)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hostname x\n",
        b"version 2\n",
        b"version 1\nversion 1\n",
        b"version 1\nnonsense x\n",
        b"version 1\nhostname\n",
        b"version 1\nhostname a%zz\n",
        b"version 1\nhostname a%00\n",
        b"version 1\nroot serial=x\n",
        b"version 1\nnic 52:54:00:00:00:01\n",
        b"version 1\nwire eth0 eth1\n",
        b"version 1\nrestart sometimes\n",
        b"version 1\noverlay size=5%%\n",
        b"version 1\nhostname a\nhostname b\n",
    ],
)
def test_both_ends_refuse_the_same(text: bytes) -> None:
    assert not accepts_config(text)
    if text:
        with pytest.raises(Invalid, match="guest configuration"):
            parse_guest_config(text)


@given(st.binary(max_size=100).map(lambda noise: b"version 1\n" + noise))
def test_garbage_is_refused_and_nothing_else(text: bytes) -> None:
    accepts_config(text)
    try:
        parse_guest_config(text)
    except Invalid:
        return


def test_every_key_is_in_the_reference() -> None:
    documented = set(re.findall(r"^\| `([a-z]+)", REFERENCE.read_text(), re.MULTILINE))
    full = GuestConfig(
        hostname="h",
        root=GuestRoot("r"),
        overlay=1,
        nics=(NIC, GuestNic("52:54:00:00:00:02", "eth1")),
        wires=(("eth0", "eth1"),),
        dns=("d",),
        search=("s",),
        hosts=(GuestHost("a", "n"),),
        argv=("a",),
        env={"e": "v"},
        cwd="/",
        user="u",
        mounts=(GuestMount("s", "/m", "vfat"),),
        sysctls={"a.b": "c"},
    )
    assert all(getattr(full, field.name) for field in fields(full))
    keys = {line.split(b" ")[0].decode() for line in dump_guest_config(full).splitlines()}
    assert keys == documented
