"""Where packets go: every kind of hop, in a room on paper."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest

from weft.model.errors import Invalid
from weft.model.insert import InsertState, Mode
from weft.model.machine import PublishedPort, State
from weft.model.names import PortName, parse_port
from weft.model.trace import Outcome, Passage, ProbeView, Way
from weft.model.wiring import BYPASS_SLOT, Filter, FilterKind
from weft.plan.splice import Appliance, Ends
from weft.plan.tracing.begin import plan_begin
from weft.plan.tracing.ends import End, parse_end
from weft.plan.tracing.guests import SeenNic, find_guest_changes, list_machines
from weft.plan.tracing.judging import Judged
from weft.plan.tracing.observed import list_watched
from weft.plan.tracing.room import (
    Packet,
    TracedInsert,
    TracedMachine,
    TracedNetwork,
    TracedNic,
    TracedPort,
    TracedRoom,
)
from weft.plan.tracing.routes import may_send
from weft.plan.tracing.trace import conclude, walk_both_ways
from weft.plan.tracing.walk import Hop


def network(name: str, number: int, gateway: str | None = None, *, uplink: bool = False) -> TracedNetwork:
    """10.N.0.0/24, and fd00:N::/64 where a machine is the gateway."""
    subnet6 = IPv6Network(f"fd00:{number}::/64")
    return TracedNetwork(
        name, IPv4Network(f"10.{number}.0.0/24"), IPv4Address(f"10.{number}.0.1"), subnet6,
        subnet6[1] if gateway else None, gateway, uplink,
    )  # fmt: skip


def machine(name: str, *places: tuple[str, str], filters: bool = False, pinned: bool = True) -> TracedMachine:
    nics = tuple(
        TracedNic(n, net, IPv4Address(f"10.{at}"), IPv6Address(f"fd00:{at.replace('.0.', '::')}"), pinned)
        for n, (net, at) in enumerate(places)
    )
    return TracedMachine(name, nics=nics, filters=filters)


def port(machine: str, *chain: TracedInsert) -> TracedPort:
    return TracedPort(parse_port(machine), chain)


NETWORKS = [
    network("wan", 1, uplink=True), network("lan", 2, "fw"), network("dmz", 3, "fw"),
    network("own", 4), network("lost", 5, "ghost"), network("island", 6, "router"), network("far", 7, "router"),
]  # fmt: skip
MACHINES = [
    machine("fw", ("wan", "1.0.2"), ("lan", "2.0.1"), ("dmz", "3.0.1"), filters=True),
    machine("client", ("lan", "2.0.2")),
    machine("web", ("dmz", "3.0.2")),
    machine("host", ("wan", "1.0.9")),
    machine("own-1", ("own", "4.0.2")),
    machine("own-2", ("own", "4.0.3")),
    machine("lonely", ("lost", "5.0.2")),
    machine("router", ("island", "6.0.1"), ("far", "7.0.1")),
    machine("robinson", ("island", "6.0.2")),
    machine("friday", ("far", "7.0.2")),
    TracedMachine("bare"),
]
NEXT = machine("next", ("wan", "1.0.8"))
ROOM = TracedRoom({one.name: one for one in MACHINES}, {one.name: one for one in NETWORKS})


def judge(firewall: str, nic: int | None, packet: Packet) -> Judged:
    """Lan gets out, translated; 8080 of the outside is web's 80; dmz gets nowhere; inserts stop 81."""
    if firewall == "inline":
        passage = Passage.STOPS if packet.dport == 81 else Passage.PASSES
        return Judged(passage, packet, "rules[7]", f"from side {nic}")
    if packet.dport == 8080:
        return Judged(Passage.PASSES, replace(packet, destination=ip_address("10.3.0.2"), dport=80), "forwards[0]")
    if nic == 1 and packet.destination in NETWORKS[2].subnet:
        return Judged(Passage.PASSES, packet, "rules[0]", "lan -> dmz")
    if nic in (1, None):
        return Judged(Passage.PASSES, replace(packet, source=ip_address("10.1.0.2")), "policy lan -> wan")
    return Judged(Passage.STOPS, packet, "policy any -> any", "dropped")


def with_(*machines: TracedMachine, ports: tuple[TracedPort, ...] = ()) -> TracedRoom:
    return replace(
        ROOM, machines={**ROOM.machines, **{one.name: one for one in machines}}, ports={one.name: one for one in ports}
    )


def trace(source: str, destination: str, room: TracedRoom = ROOM, *, ipv6: bool = False) -> list[Hop]:
    begin = plan_begin(room, parse_end(source), parse_end(destination), ipv6=ipv6)
    return [begin] if isinstance(begin, Hop) else walk_both_ways(room, judge, begin)


def stop(source: str, destination: str, room: TracedRoom = ROOM, *, ipv6: bool = False) -> tuple[str, str]:
    """Where it stops, and why. Nothing comes behind that."""
    hops = trace(source, destination, room, ipv6=ipv6)
    assert [hop for hop in hops if hop.verdict is Passage.STOPS] == hops[-1:], hops
    return hops[-1].at, hops[-1].why


def places(hops: list[Hop], way: Way = Way.THERE) -> list[str]:
    return [hop.at for hop in hops if hop.way is way]


# Ends.


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("web", End(machine="web")),
        ("web:80", End(machine="web", port=80, protocol="tcp")),
        ("shop:web:53/udp", End(room="shop", machine="web", port=53, protocol="udp")),
        ("web/icmp", End(machine="web", protocol="icmp")),
        ("network:lan", End(network="lan")),
        ("shop:network:lan", End(room="shop", network="lan")),
        ("outside", End()),
        ("shop:outside", End(room="shop")),
        ("8080/udp", End(port=8080, protocol="udp")),
        ("10.0.0.2:80", End(address=IPv4Address("10.0.0.2"), port=80, protocol="tcp")),
        ("shop:10.0.0.2", End(room="shop", address=IPv4Address("10.0.0.2"))),
        ("fd00::2", End(address=IPv6Address("fd00::2"))),
        ("[fd00::2]:80", End(address=IPv6Address("fd00::2"), port=80, protocol="tcp")),
    ],
)
def test_ends(text: str, end: End) -> None:
    assert parse_end(text) == end


@pytest.mark.parametrize(
    "text",
    ["", "->", "-", "Web", "a:b:c", "a:b:c:80", "web:80/icmp", "web/sctp", "web:0", "web:65536", "[10]:80", "web:",
     "[fd00::2", "[1.2.3.4]x", "network:", "web/"],
)  # fmt: skip
def test_ends_that_are_none(text: str) -> None:
    with pytest.raises(Invalid):
        parse_end(text)


# Within a network.


def test_neighbours_meet_on_their_network() -> None:
    hops = trace("own-1", "own-2:80")
    assert places(hops) == ["machine own-1", "port own-1:0", "port own-2:0", "machine own-2"]
    assert places(hops, Way.BACK) == ["machine own-2", "port own-2:0", "port own-1:0", "machine own-1"]
    assert {hop.verdict for hop in hops} == {Passage.PASSES}


def test_a_machine_meets_itself() -> None:
    assert places(trace("own-1", "own-1:80")) == ["machine own-1"]


@pytest.mark.parametrize("state", [State.STOPPED, State.CREATED, State.FAILED, State.STARTING])
def test_machines_that_do_not_run(state: State) -> None:
    away = replace(ROOM.machines["own-2"], state=state)
    assert stop("own-1", "own-2", with_(away)) == ("machine own-2", f"it is {state}")
    assert stop("own-2", "own-1", with_(away)) == ("machine own-2", f"it is {state}")


def test_an_address_of_nobody() -> None:
    assert stop("own-1", "10.4.0.77") == ("network own", "nobody has 10.4.0.77")
    assert stop("10.4.0.77", "own-1") == ("address 10.4.0.77", "nobody has it")


def test_no_nic_no_address_no_route() -> None:
    assert stop("bare", "own-1") == ("machine bare", "it is on no network")
    assert stop("own-1", "bare") == ("machine bare", "it has no address of IPv4")
    four = TracedMachine("four", nics=(TracedNic(0, "own", IPv4Address("10.4.0.4")),))
    assert stop("four", "own-1", with_(four), ipv6=True) == ("machine four", "it has no address of IPv6")
    at, why = stop("router", "web")
    assert (at, why) == (
        "machine router",
        "it has no route to 10.3.0.2: it needs a NIC on network dmz, or a gateway that has one",
    )
    assert "one with an uplink" in stop("router", "outside")[1]


# The fabric as the gateway.


def test_the_uplink_leads_out_and_nothing_else_does() -> None:
    hops = trace("host", "192.0.2.7:443")
    assert [places(hops, way)[-1] for way in Way] == ["gateway of wan", "machine host"]
    assert hops[-1].verdict is Passage.PASSES
    assert stop("own-1", "outside") == ("gateway of own", "network own has no uplink")
    at, why = stop("own-1", "web:80")
    assert at == "gateway of own"
    assert why == "the fabric passes nothing from network to network: a machine on own and dmz could"


def test_the_gateway_answers_for_names_and_echo_requests() -> None:
    assert trace("own-1", "10.4.0.1:53/udp")[-1].at == "machine own-1"
    assert trace("own-1", "10.4.0.1")[-1].verdict is Passage.PASSES
    assert "not for tcp 80" in stop("own-1", "10.4.0.1:80")[1]


def test_the_fabric_has_no_ipv6() -> None:
    assert "no route to fd00:3::2" in stop("own-1", "web:80", ipv6=True)[1]
    assert trace("own-1", "own-2:80", ipv6=True)[-1].verdict is Passage.PASSES
    assert stop("network:own", "own-1", ipv6=True) == ("gateway of own", "the fabric has no IPv6")


def test_a_gateway_that_is_not_there() -> None:
    assert stop("lonely", "web") == (
        "network lost",
        "its gateway is machine ghost, which does not exist or is not on it",
    )
    down = replace(ROOM.machines["fw"], state=State.STOPPED)
    assert stop("client", "web", with_(down)) == ("machine fw", "it is stopped")


# Machines as gateways.


def test_whether_a_machine_passes_on_is_its_own_affair() -> None:
    hops = trace("robinson", "friday:80")
    assert [hop.at for hop in hops if hop.verdict is Passage.UNKNOWN] == ["machine router"] * 2
    (asked,) = list_watched(hops)
    assert (asked.machine, asked.family, asked.is_judged) == ("router", "inet", False)
    assert places(hops)[-1] == "machine friday"


def test_a_firewall_names_its_rule_and_knows_answers() -> None:
    hops = trace("client", "web:80")
    assert [(hop.at, hop.rule, hop.why) for hop in hops if hop.passage and hop.passage.is_judged] == [
        ("machine fw", "rules[0]", "lan -> dmz"), ("machine fw", None, "an answer to what it let through"),
    ]  # fmt: skip
    hops = trace("web", "client:80")
    assert (hops[-1].rule, hops[-1].verdict) == ("policy any -> any", Passage.STOPS)


def test_what_is_translated_comes_back_translated() -> None:
    hops = trace("client", "outside")
    assert "now from 10.1.0.2" in next(hop.why for hop in hops if hop.passage)
    assert hops[-1].at == "machine client"
    assert hops[-2].verdict is Passage.PASSES


def test_an_answer_that_takes_another_way() -> None:
    """Web sends by a second NIC what the firewall has let through to its first."""
    web = machine("web", ("dmz", "3.0.2"), ("wan", "1.0.5"))
    hop = trace("host", "10.1.0.2:8080", with_(web))[-1]
    assert (hop.at, hop.why) == ("machine host", "it asked 10.1.0.2, and the answer is from 10.3.0.2")
    room = with_(web, ports=(port("web:1", TracedInsert("inline", filters=True)),))
    (hop,) = [hop for hop in trace("host", "10.1.0.2:8080", room) if hop.verdict is Passage.UNKNOWN]
    assert (hop.at, hop.why.partition(",")[0]) == ("insert inline", "the question came by another way")


def routers(*, pinned: bool) -> TracedRoom:
    """`inner` is the gateway of a, and behind `outer`, which is that of b and has a NIC in c."""
    inner = machine("inner", ("a", "2.0.1"), ("b", "3.0.2"))
    outer = machine("outer", ("b", "3.0.1"), ("c", "4.0.2"), pinned=pinned)
    asker = machine("asker", ("a", "2.0.2"))
    networks = [network("a", 2, "inner"), network("b", 3, "outer"), network("c", 4, uplink=True)]
    return TracedRoom({one.name: one for one in (inner, outer, asker)}, {one.name: one for one in networks})


def test_pinned_ports() -> None:
    """A router speaks for the networks whose gateway it is, and not for those behind another one."""
    assert stop("asker", "outside", routers(pinned=True)) == (
        "port outer:1", "pinned: nothing from 10.2.0.2 is let out of it",
    )  # fmt: skip
    why = "10.2.0.2 is not of 10.4.0.0/24, so it does not get out"
    assert stop("asker", "outside", routers(pinned=False)) == ("gateway of c", why)


def test_what_pinned_ports_let_out() -> None:
    room = routers(pinned=True)
    inner, outer = room.machines["inner"], room.machines["outer"]
    for one, nic, source, may in (
        (inner, 0, "10.2.0.1", True), (inner, 0, "10.2.0.2", False), (inner, 0, "192.0.2.1", True),
        (inner, 1, "10.2.0.1", True), (inner, 1, "10.2.0.2", True), (inner, 1, "192.0.2.1", False),
        (outer, 1, "10.3.0.2", True), (outer, 1, "fd00:3::2", True), (outer, 1, "10.4.0.3", False),
    ):  # fmt: skip
        assert may_send(room, one, one.nics[nic], ip_address(source)) is may, (one.name, nic, source)


def test_circles_end() -> None:
    one = machine("a", ("ring", "8.0.1"), ("gnir", "9.0.2"), pinned=False)
    two = machine("b", ("ring", "8.0.2"), ("gnir", "9.0.1"), pinned=False)
    room = TracedRoom({"a": one, "b": two}, {"ring": network("ring", 8, "a"), "gnir": network("gnir", 9, "b")})
    assert stop("a", "192.0.2.1", room) == ("the room", "it goes round in a circle")


# Ports.

ENDS, INLINE = Ends("p3.0", "t3.0"), Appliance("t4.0", "t4.1")


def redirect(slot: int, target: str) -> Filter:
    return Filter(slot, FilterKind.REDIRECT, target)


STRAIGHT = {"p3.0": [redirect(BYPASS_SLOT, "t3.0")], "t3.0": [redirect(BYPASS_SLOT, "p3.0")]}
SPLICED = {
    "p3.0": [redirect(200, "t4.0"), *STRAIGHT["p3.0"]], "t4.1": [redirect(200, "t3.0")],
    "t3.0": [redirect(200, "t4.1"), *STRAIGHT["t3.0"]], "t4.0": [redirect(200, "p3.0")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("insert", "verdict", "why"),
    [
        (TracedInsert("x"), Passage.PASSES, "frames go through it"),
        (TracedInsert("x", state=InsertState.BYPASSED, reason="dead"), Passage.PASSES, "bypassed: dead"),
        (TracedInsert("x", state=InsertState.BLOCKED), Passage.STOPS, "blocked; its fail policy is closed"),
        (TracedInsert("x", state=InsertState.STARTING), Passage.PASSES, "starting: frames go past it"),
        (TracedInsert("x", state=InsertState.EJECTING), Passage.PASSES, "ejecting: frames go past it"),
        (
            TracedInsert("x", Mode.ROUTED, InsertState.EJECTING, drains=True),
            Passage.PASSES,
            "it drains: what begins now goes through it untouched",
        ),
    ],
)  # fmt: skip
def test_inserts(insert: TracedInsert, verdict: Passage, why: str) -> None:
    hops = trace("own-1", "own-2", with_(ports=(port("own-2", TracedInsert("ear", Mode.COPY), insert),)))
    (found,) = [hop for hop in hops if hop.at == "insert x" and hop.way is Way.THERE]
    assert (found.verdict, found.why) == (verdict, why)


def test_chains_are_walked_from_the_side_that_frames_come_from() -> None:
    chain = (TracedInsert("outer"), TracedInsert("inline", filters=True), TracedInsert("inner"))
    hops = trace("own-1", "own-2:80", with_(ports=(port("own-2", *chain), port("network:wan", *chain))))
    assert places(hops)[2:6] == ["port own-2:0", "insert outer", "insert inline", "insert inner"]
    assert places(hops, Way.BACK)[2:5] == ["insert inner", "insert inline", "insert outer"]
    assert [hop.why for hop in hops if hop.passage and hop.passage.is_judged] == [
        "from side 0",
        "an answer to what it let through",
    ]
    hops = trace("host", "192.0.2.1", with_(ports=(port("network:wan", *chain),)))
    assert places(hops)[2:6] == ["port network:wan", "insert outer", "insert inline", "insert inner"]
    assert places(hops, Way.BACK)[:2] == ["port network:wan", "insert inner"]


TAKEN = TracedPort(PortName("", network="wan"), (TracedInsert("inline", Mode.ROUTED, filters=True),))


@pytest.mark.parametrize(
    ("source", "destination", "last", "families"),
    [
        ("host", "10.1.0.1", "insert inline", ["inet", "inet"]),
        ("host", "10.1.0.1:80", "insert inline", ["inet", "inet"]),
        ("host", "192.0.2.1:80", "gateway of wan", ["inet", "inet"]),
        ("network:wan", "host:80", "machine host", ["inet", "inet"]),
    ],
)
def test_an_insert_that_has_taken_over_the_gateway(
    source: str, destination: str, last: str, families: list[str]
) -> None:
    hops = trace(source, destination, with_(ports=(TAKEN,)))
    assert {hop.verdict for hop in hops} == {Passage.PASSES}
    assert places(hops)[-1] == last
    assert [hop.passage.family for hop in hops if hop.passage] == families
    assert hops[-1].at == ("gateway of wan" if source == "network:wan" else "machine host")


def test_an_insert_at_the_gateway_may_translate() -> None:
    """By the address that the fabric calls it, or back into its own network."""
    behind = IPv4Address("169.254.88.1")
    room = with_(ports=(TAKEN,))
    wan = replace(room.networks["wan"], behind=behind)
    room = replace(room, networks={**room.networks, "wan": wan}, machines={**room.machines, "next": NEXT})

    def judge(firewall: str, nic: int | None, packet: Packet) -> Judged:
        if packet.dport == 8080:
            return Judged(
                Passage.PASSES, replace(packet, source=ip_address("10.1.0.1"), destination=ip_address("10.1.0.8"))
            )
        return Judged(Passage.PASSES, replace(packet, source=behind))

    for destination, last in (("192.0.2.1:80", "gateway of wan"), ("10.1.0.1:8080", "machine next")):
        begin = plan_begin(room, parse_end("host"), parse_end(destination))
        assert not isinstance(begin, Hop)
        hops = walk_both_ways(room, judge, begin)
        assert {hop.verdict for hop in hops} == {Passage.PASSES}, hops
        assert places(hops)[-1] == last
        assert hops[-1].at == "machine host"


def test_an_inline_firewall_stops_by_its_rule() -> None:
    room = with_(ports=(port("own-1", TracedInsert("inline", filters=True)),))
    hop = trace("own-1", "own-2:81", room)[-1]
    assert (hop.at, hop.rule, hop.verdict, hop.why) == ("insert inline", "rules[7]", Passage.STOPS, "from side 1")


def test_wiring_as_it_should_be() -> None:
    name = PortName("own-2")
    straight = TracedPort(name, (), ENDS, (), STRAIGHT)
    spliced = TracedPort(name, (TracedInsert("x"),), ENDS, (INLINE,), SPLICED)
    for one in (straight, spliced):
        assert {hop.verdict for hop in trace("own-1", "own-2", with_(ports=(one,)))} == {Passage.PASSES}


@pytest.mark.parametrize(
    ("seen", "inward", "outward"),
    [
        ({}, "p3.0 leads nowhere", "t3.0 leads nowhere"),
        ({**STRAIGHT, "t3.0": []}, None, "t3.0 leads nowhere"),
        ({**STRAIGHT, "p3.0": [redirect(200, "gone"), *STRAIGHT["p3.0"]]}, "p3.0 leads to gone", None),
        ({**SPLICED, "t4.1": []}, "t4.1 leads nowhere", None),
        ({**SPLICED, "t4.0": [redirect(200, "t3.0")]}, None, "t4.0 leads to t3.0"),
    ],
)
def test_wiring_that_leads_nowhere(seen: dict[str, list[Filter]], inward: str | None, outward: str | None) -> None:
    room = with_(ports=(TracedPort(PortName("own-2"), (), ENDS, (INLINE,), seen),))
    for source, destination, lost in (("own-1", "own-2", inward), ("own-2", "own-1", outward)):
        hops = [hop for hop in trace(source, destination, room) if hop.way is Way.THERE]
        broken = [hop.why for hop in hops if hop.verdict is Passage.STOPS]
        assert broken == ([f"its wiring is broken: {lost}"] if lost else [])


def test_wiring_that_differs_and_still_leads_there() -> None:
    name = PortName("own-2")
    (hop,) = [
        hop
        for hop in trace("own-1", "own-2", with_(ports=(TracedPort(name, (), ENDS, (INLINE,), STRAIGHT),)))
        if hop.verdict is Passage.UNKNOWN and hop.way is Way.THERE
    ]
    assert hop.why.startswith("its wiring is not as its chain says: t4.1 does not redirect to t3.0; ")
    extra = {**STRAIGHT, "p3.0": [redirect(201, "t3.0"), *STRAIGHT["p3.0"]]}
    hops = trace("own-1", "own-2", with_(ports=(TracedPort(name, (), ENDS, (), extra),)))
    assert "p3.0 has a filter too many, redirect to t3.0" in "".join(hop.why for hop in hops)


# From outside.


def published(machine: str, host: int | None, guest: int, *, state: State = State.RUNNING) -> TracedMachine:
    ports = (PublishedPort(host_address="0.0.0.0", host_port=host, guest_port=guest, protocol="tcp"),)
    return replace(ROOM.machines[machine], published=ports, state=state)


@pytest.mark.parametrize("destination", ["8000", "fw", "fw:8080", "10.1.0.2:8080"])
def test_published_ports_lead_in(destination: str) -> None:
    hops = trace("outside", destination, with_(published("fw", 8000, 8080)))
    assert places(hops) == [
        "port 0.0.0.0:8000/tcp of the host", "port network:wan", "port fw:0", "machine fw", "port fw:2", "port web:0",
        "machine web",
    ]  # fmt: skip
    assert hops[-1].why == "the fabric asked for this"
    assert hops[-1].way is Way.BACK


@pytest.mark.parametrize("destination", ["8001", "8000/udp", "web:80", "10.3.0.2", "fw:81", "outside"])
def test_ports_that_are_not_published(destination: str) -> None:
    at, why = stop("outside", destination, with_(published("fw", 8000, 8080)))
    assert (at, why.startswith("no published port leads to ")) == ("the host", True)


def test_published_ports_that_lead_nowhere() -> None:
    stopped = published("host", 8000, 80, state=State.STOPPED)
    assert stop("outside", "8000", with_(stopped)) == (
        "port 0.0.0.0:8000/tcp of the host", "machine host is stopped, and nobody listens for it",
    )  # fmt: skip
    at, why = stop("outside", "8000", with_(published("web", 8000, 80)))
    assert (at, why) == ("network dmz", "the fabric has no address on it: its gateway is machine fw")


def test_from_a_networks_outside() -> None:
    assert places(trace("network:own", "own-1:80")) == ["port network:own", "port own-1:0", "machine own-1"]
    assert stop("network:lan", "client")[0] == "network lan"
    assert stop("network:own", "web")[0] == "gateway of own"
    assert trace("host", "network:wan")[-1].verdict is Passage.PASSES


# What guests have made of their NICs.


def test_guests_that_are_as_they_were_made() -> None:
    web = ROOM.machines["web"]
    assert list_machines(trace("client", "web")) == ["client", "fw", "web"]
    right = SeenNic(is_up=True, addresses=(ip_address("10.3.0.2"), ip_address("fd00:3::2"), ip_address("fe80::1")))
    assert not list(find_guest_changes(web, {"eth0": right, "lo": right}))


def test_guests_that_are_otherwise() -> None:
    web = ROOM.machines["web"]
    assert list(find_guest_changes(web, {})) == ["machine web has no eth0 any more"]
    assert list(find_guest_changes(web, {"eth0": SeenNic(is_up=False, addresses=(ip_address("10.3.0.2"),))})) == [
        "machine web has eth0 down", "machine web does not have fd00:3::2 at eth0 any more",
    ]  # fmt: skip


# What comes of it.

PASSES = [Hop(Way.THERE, "machine a", Passage.PASSES, "x")]
UNKNOWN = [*PASSES, Hop(Way.THERE, "machine b", Passage.UNKNOWN, "y")]
STOPS = [*UNKNOWN, Hop(Way.BACK, "machine c", Passage.STOPS, "z")]


@pytest.mark.parametrize(
    ("hops", "protocol", "outcome", "verdict", "why", "disagreement"),
    [
        (PASSES, "tcp", None, "passes", "nothing stands in its way", None),
        (UNKNOWN, "tcp", None, "unknown", "machine b: y", None),
        (STOPS, "tcp", None, "stops", "machine c, on the way back: z", None),
        (PASSES, "tcp", "connected", "passes", "connected in 1.5 ms", None),
        (UNKNOWN, "icmp", "answered", "passes", "answered in 1.5 ms", None),
        (STOPS, "tcp", "connected", "passes", "connected in 1.5 ms", "should stop at machine c"),
        (PASSES, "tcp", "refused", "stops", "it was refused: nobody listens there: words", None),
        (PASSES, "tcp", "silent", "stops", "no answer came: words", "nothing should stand in its way; yet no answer"),
        (PASSES, "udp", "unreachable", "stops", "it was turned back: words", "yet it was turned back"),
        (PASSES, "udp", "silent", "passes", "in its way; no answer came, which UDP does not promise", None),
        (UNKNOWN, "tcp", "silent", "stops", "what is not known: machine b: y", None),
        (STOPS, "tcp", "silent", "stops", "machine c, on the way back: z", None),
        (STOPS, "udp", "silent", "stops", "machine c, on the way back: z", None),
    ],
)
def test_what_comes_of_it(
    hops: list[Hop], protocol: str, outcome: str | None, verdict: str, why: str, disagreement: str | None
) -> None:
    probe = ProbeView(outcome=Outcome(outcome), milliseconds=1.5, detail="words") if outcome else None
    found = conclude(hops, "udp" if protocol == "udp" else "tcp", probe)
    assert found.verdict == verdict
    assert why in found.why
    assert len(found.disagreements) == (disagreement is not None)
    assert (disagreement or "") in "".join(found.disagreements)
