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
    GuestFile,
    GuestHost,
    GuestMount,
    GuestNic,
    GuestRoot,
    GuestService,
)
from weft.guest.config_parse import parse_guest_config
from weft.guest.config_text import dump_guest_config
from weft.model.errors import Invalid

REFERENCE = Path(__file__).parents[2] / "docs/reference/guest-config.md"

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
names = words.filter(lambda word: "=" not in word)
macs = st.integers(0, 2**48 - 1).map(lambda n: ":".join(f"{n:012x}"[i : i + 2] for i in range(0, 12, 2)))
nics = st.lists(
    st.builds(
        GuestNic,
        mac=macs,
        was=st.none() | macs,
        name=st.from_regex(r"[a-z]{1,8}[0-9]?", fullmatch=True),
        addresses=st.lists(st.ip_addresses().map(lambda ip: f"{ip}/24"), max_size=3).map(tuple),
        gateways=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
        mtu=st.none() | st.integers(68, 65535),
    ),
    max_size=4,
    unique_by=lambda nic: nic.name,
).map(tuple)
argvs = st.lists(values, min_size=1, max_size=4).map(tuple).filter(lambda argv: bool(argv[0]))
environments = st.dictionaries(names, values, max_size=3)
paths = st.lists(words.filter(lambda word: "/" not in word and word != ".."), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
folders = words.filter(lambda word: "/" not in word and word not in (".", ".."))
sizes = st.none() | st.integers(1, 10**12) | st.just("50%")
mounts = st.one_of(
    st.builds(GuestMount, at=paths, type=st.just("tmpfs"), size=sizes, copy=st.booleans(), read_only=st.booleans()),
    st.builds(GuestMount, at=paths, type=st.sampled_from(["9p", "virtiofs"]), tag=words, read_only=st.booleans()),
    st.builds(
        GuestMount,
        at=paths,
        type=words.filter(lambda word: word not in ("tmpfs", "9p", "virtiofs")),
        serial=words,
        sub=st.none() | folders,
        copy=st.booleans(),
        read_only=st.booleans(),
    ),
)


@st.composite
def service_lists(draw: st.DrawFn) -> tuple[GuestService, ...]:
    """Each comes after some of those before it; then they are shuffled."""
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True), unique=True, max_size=4))
    services = [
        GuestService(
            name,
            draw(argvs),
            env=draw(environments),
            cwd=draw(st.none() | words),
            user=draw(st.none() | words),
            restart=draw(st.sampled_from(RESTARTS)),
            after=tuple(draw(st.lists(st.sampled_from(names[:number]), max_size=3))) if number else (),
            once=draw(st.booleans()),
        )
        for number, name in enumerate(names)
    ]
    return tuple(draw(st.permutations(services)))


configs = st.builds(
    GuestConfig,
    hostname=st.none() | words,
    machine_id=st.none() | st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    forked_from=st.none() | words,
    root=st.none() | st.builds(GuestRoot, serial=words, type=words),
    overlay=st.none() | st.integers(1, 10**12) | st.just("50%"),
    nics=nics,
    dns=st.lists(words, max_size=3).map(tuple),
    search=st.lists(words, max_size=3).map(tuple),
    hosts=st.lists(st.builds(GuestHost, address=words, name=words), max_size=3).map(tuple),
    argv=st.just(()) | argvs,
    env=environments,
    cwd=st.none() | words,
    user=st.none() | words,
    restart=st.sampled_from(RESTARTS),
    restarts=st.none() | st.integers(0, 2**32 - 1),
    stop=st.none() | st.integers(1, 64),
    services=service_lists(),
    files=st.lists(st.builds(GuestFile, path=paths, content=values, mode=st.integers(0, 0o7777)), max_size=2).map(
        tuple
    ),
    read_only=st.booleans(),
    mounts=st.lists(mounts, max_size=3).map(tuple),
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
        GuestConfig(machine_id="0123"),
        GuestConfig(machine_id="X" * 32),
        GuestConfig(forked_from=""),
        GuestConfig(nics=(GuestNic(NIC.mac, "eth0", was="eth0"),)),
        GuestConfig(stop=65),
        GuestConfig(restarts=-1),
        GuestConfig(mounts=(GuestMount("relative", "vfat", serial="s"),)),
        GuestConfig(mounts=(GuestMount("/", "vfat", serial="s"),)),
        GuestConfig(mounts=(GuestMount("/a/../b", "vfat", serial="s"),)),
        GuestConfig(mounts=(GuestMount("/a", "vfat"),)),
        GuestConfig(mounts=(GuestMount("/a", "9p", serial="s"),)),
        GuestConfig(mounts=(GuestMount("/a", "tmpfs", tag="t"),)),
        GuestConfig(mounts=(GuestMount("/a", "tmpfs", serial=""),)),
        GuestConfig(mounts=(GuestMount("/a", "tmpfs", size="half"),)),
        GuestConfig(mounts=(GuestMount("/a", "ext4", serial="s", sub="../b"),)),
        GuestConfig(mounts=(GuestMount("/a", "ext4", serial="s", size=1),)),
        GuestConfig(mounts=(GuestMount("/a", "9p", tag="t", copy=True),)),
        GuestConfig(files=(GuestFile("/etc/"),)),
        GuestConfig(files=(GuestFile("/etc/x", mode=0o10000),)),
        GuestConfig(services=(GuestService("A", ("a",)),)),
        GuestConfig(services=(GuestService("a", ()),)),
        GuestConfig(services=(GuestService("a", ("a",)), GuestService("a", ("a",)))),
        GuestConfig(services=(GuestService("a", ("a",), after=("b",)),)),
        GuestConfig(services=(GuestService("a", ("a",), after=("a",)),)),
        GuestConfig(services=(GuestService("a", ("a",), after=("b",)), GuestService("b", ("b",), after=("a",)))),
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
        b"version 1\nreadonly no\n",
        b"version 1\ntemplate no\n",
        b"version 1\nmachineid 0123\n",
        b"version 1\nmachineid 0123456789abcdef0123456789abcdeF\n",
        b"version 1\nnic 52:54:00:00:00:01 name=eth0 was=52:54\n",
        b"version 1\nstop 0\n",
        b"version 1\nstop x\n",
        b"version 1\nrestarts 4294967296\n",
        b"version 1\nmount at=/a type=tmpfs serial=s\n",
        b"version 1\nmount at=/a type=ext4 tag=t\n",
        b"version 1\nmount at=/.. type=tmpfs\n",
        b"version 1\nmount at=/a type=tmpfs what\n",
        b"version 1\nfile /a mode=644 x\n",
        b"version 1\nfile /a mode=0644\n",
        b"version 1\nfile a mode=0644 x\n",
        b"version 1\nsarg x\n",
        b"version 1\nsenv A=b\n",
        b"version 1\nservice a\n",
        b"version 1\nservice a sometimes\nsarg x\n",
        b"version 1\nservice a after=b\nsarg x\n",
        b"version 1\nservice a after=b\nsarg x\nservice b after=a\nsarg x\n",
        b"version 1\nservice a\nsarg x\nservice a\nsarg x\n",
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
        machine_id="0" * 32,
        forked_from="f",
        template=True,
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
        restarts=1,
        stop=15,
        services=(GuestService("s", ("a",), {"e": "v"}),),
        files=(GuestFile("/f"),),
        read_only=True,
        mounts=(GuestMount("/m", "vfat", serial="s"),),
        sysctls={"a.b": "c"},
    )
    assert all(getattr(full, field.name) for field in fields(full))
    keys = {line.split(b" ")[0].decode() for line in dump_guest_config(full).splitlines()}
    assert keys == documented
