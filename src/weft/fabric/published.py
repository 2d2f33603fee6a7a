"""Published ports of machines: taken before a machine starts, led to it while it runs, free again afterwards."""

import asyncio
import logging
from contextlib import ExitStack

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import FORWARDERS, Site
from weft.host.publish import Forwarder, Listener, close_all, find_forwarder, listen, serves, start_forwarder
from weft.model.errors import Exists, Invalid, WeftError
from weft.model.machine import MachineSpec, PublishedPort
from weft.model.publish import PublishSpec

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before a forwarder that somebody ended is started again."""


class Publishing:
    """The published ports of a fabric's machines. A forwarder outlives the daemon, and the next one takes it over."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._keeping: dict[str, asyncio.Task[None]] = {}

    def check(self, spec: MachineSpec, *, on_network: bool) -> None:
        """Whether a machine could have its ports now. Raises Exists, Invalid, Unavailable."""
        if spec.publish and not on_network:
            raise Invalid(f"machine {spec.name!r} is on no network, so no port can lead to it")
        close_all(self._listen(spec.name, spec.publish, [None] * len(spec.publish)))

    async def open(self, machine: MachineRecord) -> MachineRecord:
        """Take a machine's ports and lead them to it; it need not run yet. Raises Exists, Unavailable.

        Ports that were chosen for it in an earlier run are the same again, unless somebody else has them now.
        """
        if not machine.spec.publish:
            return machine
        await self.close(machine)
        earlier = [port.host_port for port in machine.published] or [None] * len(machine.spec.publish)
        listeners = self._listen(machine.name, machine.spec.publish, earlier)
        with ExitStack() as stack:
            stack.callback(close_all, listeners)
            published = tuple(map(_describe, machine.spec.publish, listeners))
            machine = await self._shelf.save(machine.with_(published=published))
            forwarder = self._start(machine, listeners)
        self._keep(machine.name, forwarder)
        return machine

    async def adopt(self, machine: MachineRecord) -> None:
        """Take over the forwarder of a machine that runs, or start another where it does not serve any more."""
        if not machine.spec.publish:
            return
        record = self._site.layout.machine(machine.name).ports
        forwarder = find_forwarder(record)
        if forwarder and serves(record, self._site.namespace, _target(machine)):
            self._keep(machine.name, forwarder)
        else:
            await self.open(machine)

    async def close(self, machine: MachineRecord) -> None:
        """Give a machine's ports back. Nothing happens when it has none."""
        if keeping := self._keeping.pop(machine.name, None):
            keeping.cancel()
        if forwarder := find_forwarder(self._site.layout.machine(machine.name).ports):
            await forwarder.stop()

    def _listen(self, name: str, wanted: tuple[PublishSpec, ...], earlier: list[int | None]) -> list[Listener]:
        taken: list[Listener] = []
        try:
            for spec, port in zip(wanted, earlier, strict=True):
                taken.append(self._take(name, spec, port))
        except BaseException:
            close_all(taken)
            raise
        return taken

    def _take(self, name: str, spec: PublishSpec, earlier: int | None) -> Listener:
        address = str(spec.host_address)
        try:
            return listen(spec.protocol, address, spec.host_port or earlier, spec.guest_port)
        except Exists as err:
            if spec.host_port is None:
                return listen(spec.protocol, address, None, spec.guest_port)
            if owner := self._find_owner(name, spec):
                what = f"port {address}:{spec.host_port}/{spec.protocol} of the host"
                raise Exists(f"{what} leads to machine {owner!r} already", hint=err.hint) from err
            raise

    def _find_owner(self, name: str, spec: PublishSpec) -> str | None:
        """Which other machine has this port now."""
        wanted = (spec.host_port, spec.protocol)
        for machine in self._shelf:
            ports = [(port.host_port, port.protocol) for port in machine.published]
            if machine.state.is_live and machine.name != name and wanted in ports:
                return machine.name
        return None

    def _start(self, machine: MachineRecord, listeners: list[Listener]) -> Forwarder:
        record = self._site.layout.machine(machine.name).ports
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = self._site.identity(FORWARDERS)
        return start_forwarder(
            self._site.namespace, record, listeners, _target(machine), identity, self._site.service_doors()
        )

    def _keep(self, name: str, forwarder: Forwarder) -> None:
        self._keeping[name] = self._site.tasks.start(self._replace(name, forwarder), f"ports-{name}")

    async def _replace(self, name: str, forwarder: Forwarder) -> None:
        """Start another forwarder when this one has been ended, until one can be started."""
        await forwarder.watch().wait()
        self._site.events.publish("machine.ports", name, f"the forwarder of {name} ended; its ports are taken again")
        del self._keeping[name]
        while (machine := self._shelf.find(name)) and machine.state.is_live and name not in self._keeping:
            try:
                await self.open(machine)
                return
            except WeftError as err:
                log.warning("ports of %s: %s", name, err)
                await asyncio.sleep(RETRY)


def _target(machine: MachineRecord) -> str:
    """The machine's first address."""
    return str(next(nic.address for nic in machine.nics if nic.address))


def _describe(spec: PublishSpec, listener: Listener) -> PublishedPort:
    return PublishedPort(
        host_address=str(spec.host_address),
        host_port=listener.port,
        guest_port=spec.guest_port,
        protocol=spec.protocol,
    )
