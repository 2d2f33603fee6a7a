"""One way of a packet through a room: from machine to machine, each port and each insert between them a hop.

A walk is at a *stand*: a machine with the NIC the packet came in by, or the fabric as a network's gateway. Each step
goes to the next one. It ends where the packet is delivered, or stops.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from weft.model.insert import InsertState, Mode
from weft.model.machine import State
from weft.model.names import PortName
from weft.model.trace import Passage, Way
from weft.plan.tracing.ends import Address
from weft.plan.tracing.judging import Judge, Judged, Memory
from weft.plan.tracing.room import (
    Packet,
    TracedInsert,
    TracedMachine,
    TracedNetwork,
    TracedRoom,
)
from weft.plan.tracing.routes import Route, explain_no_route, find_route, may_send
from weft.plan.tracing.wiring import find_differences, follow

MOST_HOPS = 64
NAMES_PORT = 53
AT_MACHINE = "machine "
"""What a hop in a machine is called by, with its name."""
ROUTES, CARRIES = "inet", "bridge"
"""nft's families: of guests that packets are for, and of guests that frames cross."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One place, what becomes of the packet there, and why. `rule` is what decided, by its name."""

    way: Way
    at: str
    verdict: Passage
    why: str
    rule: str | None = None
    passage: "GuestPassage | None" = None


@dataclass(frozen=True, slots=True)
class GuestPassage:
    """Where a guest passes packets on, so that it could be asked: the machine, nft's family of it, and the packet as
    it comes in there. `is_judged`: by its rules, which are known.
    """

    machine: str
    family: str
    packet: Packet
    is_judged: bool = True


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a packet is: in a machine, come in by a NIC (None: it is its own); or at the fabric as the gateway of a
    network. `is_come`: from that network.
    """

    machine: str | None
    nic: int | None = None
    network: str | None = None
    is_come: bool = False


@dataclass(slots=True)
class Walk:
    """One way. After `go`: the hops, the packet as it was at the last, and where that was."""

    room: TracedRoom
    judge: Judge
    memory: Memory
    way: Way
    packet: Packet
    stand: Stand
    hops: list[Hop] = field(default_factory=list)

    def go(self) -> "Walk":
        """To the end: `verdict` says whether it gets there."""
        stand: Stand | None = self.stand
        while stand is not None and not self.is_stopped:
            self.stand = stand
            if len(self.hops) > MOST_HOPS:
                self._note("the room", Passage.STOPS, "it goes round in a circle")
                break
            stand = self._at_fabric(stand) if stand.machine is None else self._at_machine(stand)
        return self

    @property
    def is_stopped(self) -> bool:
        return any(hop.verdict is Passage.STOPS for hop in self.hops)

    def _note(self, at: str, verdict: Passage, why: str, passage: GuestPassage | None = None) -> None:
        self.hops.append(Hop(self.way, at, verdict, why, passage=passage))

    def _stop(self, at: str, why: str) -> Stand | None:
        """Nothing comes behind this."""
        self._note(at, Passage.STOPS, why)
        return None

    # In a machine.

    def _at_machine(self, stand: Stand) -> Stand | None:
        machine = self.room.machines[stand.machine or ""]
        at = f"{AT_MACHINE}{machine.name}"
        if machine.state is not State.RUNNING:
            return self._stop(at, f"it is {machine.state}")
        if machine.filters:
            self._ask(at, GuestPassage(machine.name, ROUTES, self.packet), stand.nic)
        if self.is_stopped:
            return None
        if machine.has(self.packet.destination):
            self._deliver(machine)
            return None
        if stand.nic is not None and not machine.filters:
            why = f"whether it passes on what is for {self.packet.destination} is its own affair"
            self._note(at, Passage.UNKNOWN, why, GuestPassage(machine.name, ROUTES, self.packet, is_judged=False))
        return self._leave(machine, stand)

    def _deliver(self, machine: TracedMachine) -> None:
        if not machine.filters:
            self._note(f"{AT_MACHINE}{machine.name}", Passage.PASSES, f"{self.packet.destination} is its own")

    def _ask(self, at: str, passage: GuestPassage, nic: int | None) -> None:
        """Let a firewall judge the packet, and go on with what it makes of it."""
        judged = self.memory.pass_on(self.judge, passage.machine, nic, self.packet, self.way)
        why = _explain(self.packet, judged)
        self.hops.append(Hop(self.way, at, judged.passage, why, judged.rule, passage))
        self.packet = judged.packet

    def _leave(self, machine: TracedMachine, stand: Stand) -> Stand | None:
        at = f"{AT_MACHINE}{machine.name}"
        route = find_route(self.room, machine, self.packet.destination)
        if route is None:
            return self._stop(at, explain_no_route(self.room, machine, self.packet.destination))
        if stand.nic is None:
            self._note(at, Passage.PASSES, _explain_route(route, self.packet.destination))
        self._pass_pin(machine, route)
        self._pass_port(PortName(machine.name, route.nic.number), inward=False)
        return None if self.is_stopped else self._cross(self.room.networks[route.nic.network], route.next_hop)

    def _pass_pin(self, machine: TracedMachine, route: Route) -> None:
        """What comes from others is not let out of a port that is pinned."""
        if route.nic.pinned and not may_send(self.room, machine, route.nic, self.packet.source):
            why = f"pinned: nothing from {self.packet.source} is let out of it"
            self._stop(f"port {machine.name}:{route.nic.number}", why)

    # On a network.

    def _cross(self, network: TracedNetwork, next_hop: Address) -> Stand | None:
        """From a network to whoever has the address there."""
        if owner := self.room.find_owner(network.name, next_hop):
            machine, nic = owner
            self._pass_port(PortName(machine.name, nic), inward=True)
            return Stand(machine.name, nic)
        if network.gateway is None and next_hop == network.gateway_address:
            self._pass_port(PortName("", network=network.name), inward=True)
            return Stand(None, network=network.name, is_come=True)
        return self._stop(f"network {network.name}", _explain_nobody(network, next_hop))

    # At a port.

    def _pass_port(self, name: PortName, *, inward: bool) -> None:
        """Through a port's wiring and its chain; `inward` is from the network to the machine, or to the gateway."""
        if self.is_stopped:
            return
        chain = self.room.port(name).chain
        self._check_wiring(name, inward=inward)
        for insert in chain if inward else reversed(chain):
            if not self.is_stopped:
                self._pass_insert(insert, inward=inward)

    def _check_wiring(self, name: PortName, *, inward: bool) -> None:
        port = self.room.port(name)
        if lost := follow(port, inward=inward):
            self._stop(f"port {name}", f"its wiring is broken: {lost}")
        elif differences := find_differences(port):
            self._note(
                f"port {name}", Passage.UNKNOWN, f"its wiring is not as its chain says: {'; '.join(differences)}"
            )
        else:
            self._note(f"port {name}", Passage.PASSES, _describe_chain(port.chain))

    def _pass_insert(self, insert: TracedInsert, *, inward: bool) -> None:
        at, family = f"insert {insert.name}", ROUTES if insert.mode is Mode.ROUTED else CARRIES
        passage = GuestPassage(insert.name, family, self.packet, is_judged=insert.filters)
        if insert.mode is Mode.COPY:
            return
        if insert.state is not InsertState.ACTIVE:
            self._note(at, *_explain_insert(insert))
        elif insert.filters:
            self._ask(at, passage, 0 if inward else 1)
        else:
            self._note(at, Passage.PASSES, "frames go through it", passage)

    # At the fabric.

    def _at_fabric(self, stand: Stand) -> Stand | None:
        network = self.room.networks[stand.network or ""]
        at, destination = f"gateway of {network.name}", self.packet.destination
        taker = self._find_taker(network) if stand.is_come else None
        if destination == network.gateway_address:
            self._at_gateway(network, taker)
            return None
        if taker is not None and network.covers(destination):
            return self._cross(network, destination)
        if network.gateway is None and (network.covers(destination) or destination == network.behind):
            return self._enter(network)
        return self._get_out(network, at)

    def _get_out(self, network: TracedNetwork, at: str) -> Stand | None:
        """To the outside, if that is where it is to go."""
        if other := self.room.find_network(self.packet.destination):
            ends = f"{network.name} and {other.name}"
            return self._stop(at, f"the fabric passes nothing from network to network: a machine on {ends} could")
        if not network.uplink:
            return self._stop(at, f"network {network.name} has no uplink")
        if self.packet.source not in network.subnet and self.packet.source != network.behind:
            return self._stop(at, f"{self.packet.source} is not of {network.subnet}, so it does not get out")
        self._note(at, Passage.PASSES, "out by the uplink, with the host's address")
        return None

    def _find_taker(self, network: TracedNetwork) -> str | None:
        """The insert that has taken over a network's gateway, and with it the address."""
        for insert in self.room.port(PortName("", network=network.name)).chain:
            if insert.mode is Mode.ROUTED and (insert.state is InsertState.ACTIVE or insert.drains):
                return insert.name
        return None

    def _at_gateway(self, network: TracedNetwork, taker: str | None) -> None:
        at = f"gateway of {network.name}"
        is_name = self.packet.protocol in ("tcp", "udp") and self.packet.dport == NAMES_PORT
        if self.way is Way.BACK:
            self._note(at, Passage.PASSES, "the fabric asked for this")
        elif taker is not None:
            self._note(f"insert {taker}", Passage.PASSES, f"{self.packet.destination} is its own")
        elif self.packet.protocol == "icmp" or is_name:
            self._note(at, Passage.PASSES, "it answers for names and echo requests")
        else:
            asked = f"{self.packet.protocol} {self.packet.dport}"
            self._stop(at, f"it answers for names and echo requests, not for {asked}")

    def _enter(self, network: TracedNetwork) -> Stand | None:
        """From the gateway into its network."""
        self._pass_port(PortName("", network=network.name), inward=False)
        return None if self.is_stopped else self._cross(network, self.packet.destination)


def _explain(before: Packet, judged: Judged) -> str:
    after = judged.packet
    changes = []
    if (before.destination, before.dport) != (after.destination, after.dport):
        changes.append(f"now for {after.destination}{f':{after.dport}' if after.dport else ''}")
    if before.source != after.source:
        changes.append(f"now from {after.source}")
    return ", ".join([judged.why, *changes] if judged.why else changes)


def _explain_route(route: Route, destination: Address) -> str:
    by = f"by its NIC {route.nic.number} on network {route.nic.network}"
    return by if route.next_hop == destination else f"{by}, to the gateway {route.next_hop}"


def _explain_nobody(network: TracedNetwork, address: Address) -> str:
    if network.gateway is not None and address == network.gateway_of(address.version):
        return f"its gateway is machine {network.gateway}, which does not exist or is not on it"
    return f"nobody has {address}"


def _explain_insert(insert: TracedInsert) -> tuple[Passage, str]:
    because = f": {insert.reason}" if insert.reason else ""
    if insert.drains:
        return Passage.PASSES, "it drains: what begins now goes through it untouched"
    match insert.state:
        case InsertState.BLOCKED:
            return Passage.STOPS, f"blocked{because}; its fail policy is closed"
        case InsertState.BYPASSED:
            return Passage.PASSES, f"bypassed{because}"
        case _:
            return Passage.PASSES, f"{insert.state}: frames go past it"


def _describe_chain(chain: Iterable[TracedInsert]) -> str:
    names = [insert.name for insert in chain if insert.mode is not Mode.COPY]
    return f"through {', '.join(names)}" if names else "nothing is inserted"
