"""Ports: the patch points, and the chains that are led through them."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from weft.fabric.callers import Callers
from weft.fabric.net_limits import NetLimits
from weft.fabric.pins import Pins
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.host.links import LinkInfo, keep_whole
from weft.model.errors import NotFound
from weft.model.image import NicRole
from weft.model.insert import Mode
from weft.model.names import PortName
from weft.model.wiring import Filter
from weft.plan.address import UPSTREAM
from weft.plan.linknames import bridge_side_name, gateway_bridge_side_name, patch_name, tap_name
from weft.plan.splice import Appliance, Ears, Ends, Wiring, plan_bypass, plan_retire, plan_splice, plan_void


@dataclass(frozen=True, slots=True)
class PortLook:
    """A port as it is: what it joins, the appliances its chain leads through, the filters of all their links, and who
    hears along."""

    ends: Ends
    appliances: tuple[Appliance, ...]
    wiring: Wiring
    ears: Ears


class Ports:
    """Makes the links of machines and leads frames through the chains. One splice at a time."""

    def __init__(self, site: Site) -> None:
        self.pins = Pins(site)
        self.limits = NetLimits(site)
        self.callers = Callers(site)
        self._site = site
        self._lock = asyncio.Lock()

    async def attach(self, machine: MachineRecord) -> None:
        """Make the links a machine's NICs need, as far as they are not there: taps, and for those on a network ports.

        `splice_all` joins them. A port that is there before it is pinned lets nothing in.
        """
        await asyncio.gather(self.sync_tables(), self._attach_links(machine))

    async def sync_tables(self) -> None:
        """What holds for ports is what the records of machines say."""
        await asyncio.gather(self.pins.sync(), self.limits.sync(), self.callers.sync())

    async def _attach_links(self, machine: MachineRecord) -> None:
        present = await self._site.links.find_links(_own_links(machine))
        for number, nic in enumerate(machine.nics):
            tap, alias = tap_name(machine.slot, number), _alias(machine, number)
            mtu = self._mtu(machine, number)
            if not await keep_whole(self._site.links, present, tap, alias):
                await self._site.links.create_tap(tap, mtu=mtu, alias=alias)
            if nic.network is not None:
                await self._attach_port(machine, number, nic.network, alias, present)
            elif nic.role is not NicRole.LAN:
                await self._site.links.add_heartbeat_trap(tap)

    async def take_over(self, machine: MachineRecord) -> None:
        """Taps that were another's are this machine's now."""
        for number in range(len(machine.nics)):
            mtu, alias = self._mtu(machine, number), _alias(machine, number)
            await self._site.links.hand_on(tap_name(machine.slot, number), mtu=mtu, alias=alias)

    async def attach_gateway(self, network: NetworkRecord) -> None:
        """Make the links of a network's gateway, as far as they are not there, and lead frames to it.

        Its bridge is there. One that was the gateway itself, as earlier versions made it, hands that on.
        """
        await self.pins.sync()
        links, ends, alias = self._site.links, network.ends, f"weft gateway of {network.name}"
        present = await links.find_links([ends.patch, network.gateway_link, network.bridge])
        mtu = network.spec.mtu
        address = f"{network.gateway}/{network.subnet.prefixlen}"
        if not await keep_whole(links, present, ends.patch, alias):
            side = gateway_bridge_side_name(network.slot)
            await links.create_port(side, ends.patch, bridge=network.bridge, mtu=mtu, alias=alias)
        if not await keep_whole(links, present, network.gateway_link, alias):
            await links.create_gateway(
                ends.tap,
                network.gateway_link,
                mtu=mtu,
                alias=alias,
                mac=network.gateway_mac,
                addresses=[address, f"{UPSTREAM}/32"],
            )
        await links.add_peer(network.gateway_link, str(UPSTREAM), str(network.behind))
        async with self._lock:
            await links.apply_filters(plan_bypass(ends, await self._read_wiring(ends, [])))
        if present[network.bridge].mac == network.gateway_mac:
            await links.strip_bridge(network.bridge, address)

    async def detach_gateway(self, network: NetworkRecord) -> None:
        """Delete the links of a network's gateway that are there."""
        for link in await self._site.links.find_links([network.ends.patch, network.gateway_link]):
            await self._site.links.delete_link(link)

    async def detach(self, machine: MachineRecord) -> None:
        """Delete all links of a machine that are there; filters that lead to them go first."""
        for link in await self._site.links.find_links(_own_links(machine)):
            await self._site.links.delete_link(link)

    def chain(self, port: PortName) -> list[InsertRecord]:
        """The inserts of a port, from the network side to the machine side."""
        found = [insert for insert in self._site.shelves.inserts if insert.port == port]
        return sorted(found, key=lambda insert: insert.rank)

    async def splice_all(self, machine: MachineRecord) -> None:
        """Make the wiring of all ports of a machine what their chains say."""
        for number, nic in enumerate(machine.nics):
            if nic.network is not None:
                await self.splice(PortName(machine.name, number))
            elif machine.shadows is not None:
                await self._mute(tap_name(machine.slot, number))

    async def splice_gateway(self, network: NetworkRecord) -> None:
        """The same for the port of a network's gateway, if it has one."""
        await self.splice(PortName("", network=network.name))

    async def splice(self, port: PortName) -> int:
        """Make the wiring of a port what its chain says now. Returns how many filters changed."""
        async with self._lock:
            ends = self._find_ends(port)
            if ends is None:
                return 0
            appliances = list(self._carrying(port))
            wiring = await self._read_wiring(ends, appliances)
            if self._is_becoming(port):
                changes = plan_void(ends.tap, wiring)
            else:
                changes = plan_bypass(ends, wiring) + plan_splice(ends, appliances, wiring, await self._find_ears(port))
            await self._site.links.apply_filters(changes)
            return len(changes)

    async def look(self, port: PortName) -> PortLook | None:
        """A port as it is now. None: it is no port, or not there yet."""
        async with self._lock:
            ends = self._find_ends(port)
            if ends is None:
                return None
            appliances = list(self._carrying(port))
            wiring = {link: await self._find_filters(link) for link in _links_of(ends, appliances)}
            return PortLook(ends, tuple(appliances), wiring, await self._find_ears(port))

    async def retire(self, machine: MachineRecord) -> None:
        """Take the redirects off an appliance that has drained, unless it is in a chain again."""
        async with self._lock:
            if self._site.shelves.inserts.find(machine.name) is None:
                sides = machine.sides(inline=True)
                wiring = {link: await self._list_filters(link) for link in (sides.network_side, sides.machine_side)}
                await self._site.links.apply_filters(plan_retire(sides, wiring))

    def network(self, port: PortName) -> NetworkRecord:
        """The network that a port is on. Raises NotFound: no such port."""
        if port.network is not None:
            return self._with_gateway(port.network)
        machine = self._site.shelves.machines.get(port.machine)
        name = machine.nics[port.nic].network if port.nic < len(machine.nics) else None
        if name is None:
            raise NotFound(f"machine {port.machine!r} has no NIC {port.nic} on a network")
        return self._site.shelves.networks.get(name)

    def _with_gateway(self, name: str) -> NetworkRecord:
        """A network whose gateway is the fabric, and so has a port of its own."""
        network = self._site.shelves.networks.get(name)
        if network.has_gateway_port:
            return network
        what = f"the gateway of network {name!r} is machine {network.spec.gateway!r}"
        raise NotFound(what, hint=f"its port is {self._find_gateway_port(network) or 'not there yet'}")

    def _find_gateway_port(self, network: NetworkRecord) -> str | None:
        machine = self._site.shelves.machines.find(network.spec.gateway or "")
        numbers = [number for number, nic in enumerate(machine.nics) if nic.network == network.name] if machine else []
        return str(PortName(machine.name, numbers[0])) if machine and numbers else None

    def _find_ends(self, port: PortName) -> Ends | None:
        if port.network is not None:
            network = self._site.shelves.networks.find(port.network)
            return network.ends if network is not None and network.has_gateway_port else None
        machine = self._site.shelves.machines.find(port.machine)
        return None if machine is None else machine.ends(port.nic)

    async def _mute(self, tap: str) -> None:
        async with self._lock:
            await self._site.links.apply_filters(plan_void(tap, {tap: await self._list_filters(tap)}))

    def _is_becoming(self, port: PortName) -> bool:
        machine = self._site.shelves.machines.find(port.machine)
        return machine is not None and machine.becoming

    async def _find_ears(self, port: PortName) -> Ears:
        """Who hears what reaches a machine: its shadows, while they run; and what a gateway sends: rooms' shadows."""
        if port.network is not None:
            relays = self._site.shelves.networks.get(port.network).relays
            present = await self._site.links.find_links(relays)
            return Ears(outward=tuple(relay for relay in relays if relay in present))
        shadows = [one for one in self._site.shelves.machines if one.shadows == port.machine and one.hears]
        return Ears(inward=tuple(tap_name(one.slot, port.nic) for one in shadows if port.nic < len(one.nics)))

    async def _attach_port(
        self, machine: MachineRecord, nic: int, network: str, alias: str, present: Mapping[str, LinkInfo]
    ) -> None:
        ends = machine.ends(nic)
        record = self._site.shelves.networks.get(network)
        if not await keep_whole(self._site.links, present, ends.patch, alias):
            side = bridge_side_name(machine.slot, nic)
            await self._site.links.create_port(side, ends.patch, bridge=record.bridge, mtu=record.spec.mtu, alias=alias)

    def _mtu(self, machine: MachineRecord, nic: int) -> int:
        """A port's MTU is its network's; an appliance must take whatever any network carries."""
        network = machine.nics[nic].network
        if network is not None:
            return self._site.shelves.networks.get(network).spec.mtu
        return max((network.spec.mtu for network in self._site.shelves.networks), default=1500)

    def _carrying(self, port: PortName) -> Iterable[Appliance]:
        for insert in self.chain(port):
            appliance = self._site.shelves.machines.find(insert.name)
            if insert.carries and appliance is not None:
                yield appliance.sides(inline=insert.spec.mode is not Mode.COPY)

    async def _read_wiring(self, ends: Ends, appliances: list[Appliance]) -> dict[str, list[Filter]]:
        return {link: await self._list_filters(link) for link in _links_of(ends, appliances)}

    async def _find_filters(self, link: str) -> list[Filter]:
        """Those of a link; of one that is not there none."""
        with suppress(NotFound):
            return await self._list_filters(link)
        return []

    async def _list_filters(self, link: str) -> list[Filter]:
        return await self._site.links.list_filters(link)


def _alias(machine: MachineRecord, nic: int) -> str:
    return f"weft machine {machine.name} nic {nic}"


def _own_links(machine: MachineRecord) -> list[str]:
    """Those of a machine's links that others go with."""
    return [name(machine.slot, nic) for nic in range(len(machine.nics)) for name in (patch_name, tap_name)]


def _links_of(ends: Ends, appliances: Iterable[Appliance]) -> list[str]:
    return [ends.patch, ends.tap, *(side for a in appliances for side in (a.network_side, a.machine_side))]
