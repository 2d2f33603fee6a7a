"""A room as a trace sees it: who has which address, and what stands in front of whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from weft.model.insert import InsertState, Mode
from weft.model.machine import PublishedPort, State
from weft.model.names import PortName
from weft.plan.splice import DEAF, Appliance, Ears, Ends, Wiring
from weft.plan.tracing.ends import Address, Protocol


@dataclass(frozen=True, slots=True)
class Packet:
    """What is traced, as its headers say it at one place. Echo requests and answers have no ports."""

    protocol: Protocol
    source: Address
    destination: Address
    sport: int | None = None
    dport: int | None = None

    @property
    def version(self) -> int:
        return self.destination.version

    def answer(self) -> "Packet":
        """The packet that comes back."""
        return replace(self, source=self.destination, destination=self.source, sport=self.dport, dport=self.sport)

    def __str__(self) -> str:
        return f"{self.protocol} {self.source} -> {dump_target(self.destination, self.dport)}"


@dataclass(frozen=True, slots=True)
class TracedNic:
    """One NIC on a network. `pinned`: frames with addresses of others do not leave it."""

    number: int
    network: str
    address: IPv4Address | None = None
    address6: IPv6Address | None = None
    pinned: bool = False

    def address_of(self, version: int) -> Address | None:
        return self.address if version == 4 else self.address6


@dataclass(frozen=True, slots=True)
class TracedMachine:
    """A machine. `filters`: it is a firewall whose rules are known."""

    name: str
    state: State = State.RUNNING
    nics: tuple[TracedNic, ...] = ()
    filters: bool = False
    published: tuple[PublishedPort, ...] = ()

    def has(self, address: Address) -> bool:
        return any(nic.address_of(address.version) == address for nic in self.nics)


@dataclass(frozen=True, slots=True)
class TracedNetwork:
    """A network. `gateway` is the machine that is it; None: the fabric. `behind`: what an insert that has taken it over
    is called by the fabric.
    """

    name: str
    subnet: IPv4Network
    gateway_address: IPv4Address
    subnet6: IPv6Network | None = None
    gateway_address6: IPv6Address | None = None
    gateway: str | None = None
    uplink: bool = False
    behind: IPv4Address | None = None

    def range_of(self, version: int) -> IPv4Network | IPv6Network | None:
        return self.subnet if version == 4 else self.subnet6

    def gateway_of(self, version: int) -> Address | None:
        return self.gateway_address if version == 4 else self.gateway_address6

    def covers(self, address: Address) -> bool:
        found = self.range_of(address.version)
        return found is not None and address in found


@dataclass(frozen=True, slots=True)
class TracedInsert:
    """An insert of a chain. `filters`: it is a firewall whose rules are known. `drains`: it is being ejected, and stays
    in the path for flows that it translates.
    """

    name: str
    mode: Mode = Mode.INLINE
    state: InsertState = InsertState.ACTIVE
    reason: str = ""
    filters: bool = False
    drains: bool = False


@dataclass(frozen=True, slots=True)
class TracedPort:
    """A port: its chain from the network side, its wiring, and who hears along; `seen` None: nobody has looked."""

    name: PortName
    chain: tuple[TracedInsert, ...] = ()
    ends: Ends | None = None
    carrying: tuple[Appliance, ...] = ()
    seen: Wiring | None = None
    ears: Ears = DEAF


@dataclass(frozen=True, slots=True)
class TracedRoom:
    """Everything of a room that decides where packets go."""

    machines: Mapping[str, TracedMachine]
    networks: Mapping[str, TracedNetwork]
    ports: Mapping[PortName, TracedPort] = field(default_factory=dict)

    def port(self, name: PortName) -> TracedPort:
        return self.ports.get(name) or TracedPort(name)

    def find_owner(self, network: str, address: Address) -> tuple[TracedMachine, int] | None:
        """Which NIC of which machine has an address of a network."""
        for machine, nic in self._nics():
            if nic.network == network and nic.address_of(address.version) == address:
                return machine, nic.number
        return None

    def find_machine(self, address: Address) -> TracedMachine | None:
        """The machine that has an address, on whatever network."""
        return next((machine for machine in self.machines.values() if machine.has(address)), None)

    def find_network(self, address: Address) -> TracedNetwork | None:
        """The network an address is of; None: it is of the outside."""
        return next((network for network in self.networks.values() if network.covers(address)), None)

    def _nics(self) -> Iterator[tuple[TracedMachine, TracedNic]]:
        for machine in self.machines.values():
            for nic in machine.nics:
                yield machine, nic


def dump_target(address: Address, port: int | None) -> str:
    """An address, and behind it the port if there is one."""
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
