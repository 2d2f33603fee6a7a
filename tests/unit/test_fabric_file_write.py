"""What is written of a fabric file can be read again, and comes to the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.fabric_files import World

from weft.model.fabric_file import FabricFile
from weft.plan.fabric_file.check import check_file
from weft.plan.fabric_file.read import read_file
from weft.plan.fabric_file.write import LEFT_OUT, dump_file, dump_yaml


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    [
        "yes",
        "no",
        "1.10",
        "010",
        "22:22",
        "1e3",
        "null",
        "~",
        "",
        " x ",
        "a: b",
        "- a",
        "#x",
        "0x10",
        "2026-01-01",
        "<<",
    ]
)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), TEXTS, max_size=3)
SECONDS = st.integers(1, 10**6).map(float) | st.floats(0.01, 1e5).map(lambda value: round(value, 3))
SIZES = st.integers(32 << 20, 1 << 34)
RATES = st.integers(4096, 1 << 34)
RANGES = st.tuples(SIZES, SIZES).map(lambda ends: f"{min(ends)}..{max(ends)}") | SIZES.map("..{}".format)
POLICIES = optional(
    mode=st.sampled_from(["auto", "manual"]),
    cpu_busy=st.floats(0.7, 1) | st.sampled_from(["80%", "0.95"]),
    down_after=SECONDS.filter(lambda value: value <= 86400) | st.sampled_from(["90s", "5m", "1h30m"]),
    memory_headroom=st.integers(0, 1 << 40) | st.sampled_from(["16M", "1G"]),
)
VALUES = st.booleans() | st.integers(-(10**9), 10**9) | TEXTS | st.lists(TEXTS, max_size=3)


NICS = st.lists(
    optional(mac=st.just("02:00:00:00:00:01"), pinned=st.booleans(), address=st.just("10.1.2.3")).flatmap(
        lambda rest: NAMES.map(lambda name: {"network": name, **rest})
    ),
    max_size=3,
)
PORTS = st.fixed_dictionaries(
    {"guest_port": st.integers(1, 65535)},
    optional={
        "host_port": st.none() | st.integers(1, 65535),
        "host_address": st.just("127.0.0.1"),
        "protocol": st.sampled_from(["tcp", "udp"]),
    },
)
MOUNTS = st.builds(
    lambda name, target, ro: {"kind": "volume", "source": name, "target": f"/{target}", "read_only": ro},
    NAMES,
    NAMES,
    st.booleans(),
)
MACHINES = optional(
    image=st.just("base"),
    build=st.just("/recipes/it"),
    memory=SIZES | RANGES,
    cpus=st.integers(1, 64) | st.sampled_from(["1..4", "..64", "2..2"]),
    elastic=st.booleans() | st.sampled_from(["auto", "manual"]) | POLICIES,
    profile=st.sampled_from(["microvm", "q35"]),
    networks=NICS,
    command=st.lists(TEXTS, max_size=3),
    entrypoint=st.lists(TEXTS, max_size=2),
    env=VARIABLES,
    labels=VARIABLES,
    user=st.sampled_from(["1000", "www:www"]),
    restart=st.sampled_from(["no", "always", "on-failure", "on-failure:4", "unless-stopped"]),
    stop_signal=st.just("SIGHUP"),
    stop_timeout=SECONDS,
    health=optional(command=st.lists(TEXTS, min_size=1) | TEXTS.filter(str.strip), interval=SECONDS),
    no_healthcheck=st.booleans(),
    limits=optional(
        cpu_weight=st.integers(1, 10000), disk_read=RATES, net_in=RATES, net_out_packets=st.integers(1, 99)
    ),
    fabric=optional(expose=st.lists(st.sampled_from(["machine", "room:ro", "fabric"]), unique=True)),
    cold=st.booleans(),
    publish=st.lists(PORTS, max_size=2),
    volumes=st.lists(MOUNTS, max_size=2),
    tmpfs=st.just(["/run:size=16M,ro"]),
    settings=st.dictionaries(NAMES, VALUES, max_size=3),
    after=st.lists(NAMES, max_size=2),
    state=st.sampled_from(["running", "stopped"]),
)
NETWORKS = optional(
    subnet=st.just("10.1.2.0/24"), mtu=st.integers(576, 9216), uplink=st.booleans(), dns=st.just(["10.1.2.9"])
)
INSERTS = st.fixed_dictionaries(
    {"before": NAMES | st.just("web:1") | st.just("network:lan")},
    optional={
        "appliance": NAMES,
        "mode": st.sampled_from(["inline", "copy"]),
        "for": SECONDS,
        "at": st.integers(0, 3),
        "cold": st.booleans(),
    },
)
RESOURCES = optional(memory=SIZES, max_memory=st.just("1T"), cpus=st.floats(0.1, 2), cpu_weight=st.integers(1, 10_000))
ROOMS = optional(
    description=TEXTS,
    isolation=st.sampled_from(["normal", "strict"]),
    resources=RESOURCES,
    networks=st.dictionaries(NAMES, NETWORKS, max_size=2),
    machines=st.dictionaries(NAMES, MACHINES, max_size=2),
    inserts=st.dictionaries(NAMES, INSERTS, max_size=2),
    volumes=st.dictionaries(NAMES, optional(size=SIZES, labels=VARIABLES), max_size=2),
)
FILES = st.dictionaries(NAMES, ROOMS, max_size=2).map(lambda rooms: FabricFile.model_validate({"rooms": rooms}))


@given(FILES, st.booleans())
@settings(max_examples=50)
def test_what_is_written_comes_to_the_same(file: FabricFile, defaults: bool) -> None:
    reading = read_file(dump_yaml(dump_file(file, defaults=defaults)), "/")
    assert reading.problems == []
    assert defaults or reading.file == file
    assert dump_file(reading.file, defaults=True) == dump_file(file, defaults=True)


@pytest.mark.parametrize("defaults", [False, True])
def test_order_does_not_matter_but_in_chains(defaults: bool) -> None:
    one = """
        rooms: {a: {machines: {n: base, m: base}, networks: {y: , x: },
                    inserts: {j: {appliance: sniffer, before: m}}}}"""
    other = """
        rooms: {a: {networks: {x: , y: }, inserts: {j: {appliance: sniffer, before: 'm:0'}},
                    machines: {m: {image: base}, n: {image: base}}}}"""
    texts = [dump_yaml(dump_file(check_file(text, "/", World()).file, defaults=defaults)) for text in (one, other)]
    assert texts[0] == texts[1]


def test_the_words_are_those_that_people_write() -> None:
    text = """\
rooms:
  acme:
    networks:
      lan:
        subnet: 10.1.2.0/24
    machines:
      web:
        image: web
        memory: 64M
        networks:
          lan:
            address: 10.1.2.10
        restart: on-failure:4
        stop_timeout: 1m30s
        health:
          command: wget -qO- http://localhost/ >/dev/null
          interval: 10s
        publish:
          - 8080:80
        volumes:
          - data:/srv:ro
        settings:
          # key: a secret, left out
    inserts:
      tap:
        appliance: sniffer
        before: web
        mode: copy
        for: 10m
"""
    file = read_file(text, "/").file
    plain = dump_file(file, defaults=False)
    plain["rooms"]["acme"]["machines"]["web"]["settings"] = {"key": LEFT_OUT}
    assert dump_yaml(plain) == text


def test_what_is_implied_is_written_with_the_defaults() -> None:
    text = "rooms: { a: { machines: { m: base, n: { image: base, cpus: 1..2 } } } }"
    machines = dump_file(read_file(text, "/").file, defaults=True)["rooms"]["a"]["machines"]
    assert (machines["m"]["profile"], machines["m"].get("elastic")) == ("microvm", None)
    assert (machines["n"]["profile"], machines["n"]["elastic"]) == ("q35", "manual")
