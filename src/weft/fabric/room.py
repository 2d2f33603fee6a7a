"""A room: its controllers, joined to each other."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

from weft.fabric.adopting import Adopting
from weft.fabric.checks import Checks
from weft.fabric.consoles import Consoles
from weft.fabric.elastic.cpus import CpuLever
from weft.fabric.elastic.explaining import Explaining
from weft.fabric.elastic.governing import Governing
from weft.fabric.elastic.memory import MemoryLever
from weft.fabric.elastic.observing import Observing
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.elastic.tending import Tending
from weft.fabric.elastic.trial import HotplugTrial
from weft.fabric.elastic.vetoing import Vetoing
from weft.fabric.endings import remove_group
from weft.fabric.exposing import Exposing
from weft.fabric.files import Files
from weft.fabric.firewalls.changing import FirewallChanges
from weft.fabric.firewalls.looking import Firewalls
from weft.fabric.foreign.displays import Displays
from weft.fabric.forks.copies import Copies
from weft.fabric.forks.forking import Forks
from weft.fabric.forks.instants import Instants
from weft.fabric.hearts import Hearts
from weft.fabric.history.recording import Recording
from weft.fabric.hooks import Hooks
from weft.fabric.inserts import Inserts
from weft.fabric.insight import Insight
from weft.fabric.ledger.room_accounts import RoomAccounts
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.limiting import Limiting
from weft.fabric.machines import Machines
from weft.fabric.moments.capturing import Capturing
from weft.fabric.netboot.booting import NetBoot
from weft.fabric.networks import Networks
from weft.fabric.pools.keeping import Keeping
from weft.fabric.pools.making import Making
from weft.fabric.pools.pools import Pools
from weft.fabric.pools.taking import Taking
from weft.fabric.ports import Ports
from weft.fabric.published import Publishing
from weft.fabric.restarts import Restarts
from weft.fabric.roots.serving import Roots
from weft.fabric.runs import Runs
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.configs import Configs
from weft.fabric.settings.confirming import Confirming
from weft.fabric.settings.placing import Placing
from weft.fabric.site import SERVICES, Site
from weft.fabric.snapshots.snapshots import Snapshots, assemble_snapshots
from weft.fabric.sniff import Sniffers
from weft.fabric.telling import Telling
from weft.fabric.templates.library import Library
from weft.fabric.templates.templates import Templates
from weft.fabric.trials import Trials
from weft.fabric.updates import Updates
from weft.fabric.volumes import Volumes
from weft.model.elastic import Resource
from weft.model.errors import NotFound, WrongState
from weft.model.room import Isolation


@dataclass(frozen=True, slots=True)
class Room:
    """All controllers of one room. What the rooms of a fabric have in common is in its site."""

    site: Site
    networks: Networks
    ports: Ports
    netboot: NetBoot
    lifecycle: Lifecycle
    runs: Runs
    adopting: Adopting
    capturing: Capturing
    machines: Machines
    hearts: Hearts
    inserts: Inserts
    sniffers: Sniffers
    consoles: Consoles
    displays: Displays
    trials: Trials
    volumes: Volumes
    checks: Checks
    restarts: Restarts
    configs: Configs
    confirming: Confirming
    files: Files
    insight: Insight
    recording: Recording
    updates: Updates
    templates: Templates
    snapshots: Snapshots
    firewalls: Firewalls
    forks: Forks
    firewall_changes: FirewallChanges
    pools: Pools
    keeping: Keeping
    scaling: Scaling
    explaining: Explaining
    trial: HotplugTrial

    async def dismantle(self) -> None:
        """Stop every machine and take all wiring away; machines, networks and inserts stay on record."""
        live = [machine.name for machine in self.site.shelves.machines if machine.state.is_live]
        stops = [self.lifecycle.stop(name, wanted=True) for name in live]
        await asyncio.gather(*stops, self.keeping.end_all(), self.templates.stop(), self.trial.stop())
        await self.netboot.stop()
        await self.networks.take_down_all()
        await self.site.namespace.stop()
        await remove_group(self.site.cgroups.group(SERVICES))
        self.site.cgroups.remove()

    async def clear(self) -> None:
        """Take everything away that the room has, on record too: machines, inserts, networks, volumes, its namespace.

        Can be done again when it was cut short.
        """
        shelves = self.site.shelves
        await self.pools.clear()
        await asyncio.gather(*(_unless_gone(self.inserts.eject(insert.name, drain=0)) for insert in shelves.inserts))
        while machines := list(shelves.machines):
            await asyncio.gather(*(_unless_gone(self.machines.remove(one.name, force=True)) for one in machines))
        for insert in shelves.inserts:
            await shelves.inserts.drop(insert.name)
        for network in shelves.networks:
            await self.networks.remove(network.name)
        for volume in shelves.volumes:
            await self.volumes.remove(volume.name)
        await self.dismantle()


async def _unless_gone(removal: Awaitable[None]) -> None:
    """Somebody else may be removing it, or have removed it just now."""
    with suppress(NotFound, WrongState):
        await removal


def _serve_at_gateways(site: Site, ports: Ports, machines: Machines, hooks: Hooks) -> NetBoot:
    """What machines get there by their addresses."""
    exposing, roots, netboot = Exposing(site, ports), Roots(site, ports), NetBoot(site, ports)
    machines.checks += [exposing.check, roots.check, netboot.check]
    machines.before_remove.append(netboot.forget)
    hooks.on_end.append(exposing.on_end)
    hooks.before_start += [roots.open, netboot.serve]
    hooks.on_begin.append(roots.adopt)
    hooks.on_tidy += [roots.close, netboot.tidy]
    return netboot


def _change_sizes(
    site: Site, runs: Runs, hooks: Hooks, telling: Telling, recording: Recording
) -> tuple[Scaling, Governing, HotplugTrial]:
    """Who changes sizes of machines, who decides when, and who finds out what can be done here."""
    scaling = Scaling(site, runs, {Resource.CPUS: CpuLever(site, runs), Resource.MEMORY: MemoryLever(site, runs)})
    scaling.accounts = RoomAccounts(site.ledger, site.room)
    hooks.before_ready.append(scaling.prepare)
    scaling.may_shrink.append(Vetoing(runs).may_shrink)
    tending = Tending(site, runs, scaling)
    governing = Governing(site, scaling, Observing(site, runs, recording))
    telling.listeners.append(governing.on_event)
    trial = HotplugTrial(site)
    hooks.on_ready += [scaling.on_ready, tending.on_ready, governing.on_ready, trial.on_ready]
    hooks.on_end += [governing.on_end, scaling.on_end, tending.on_end]
    return scaling, governing, trial


def assemble(site: Site, shared: Library, isolation: Isolation) -> Room:
    """The controllers of a site, joined to each other; nothing is adopted or started. `shared`: templates that are not
    one room's own."""
    ports, volumes, hearts = Ports(site), Volumes(site), Hearts(site)
    networks = Networks(site, ports)
    publishing, consoles = Publishing(site), Consoles(site)
    lifecycle = Lifecycle(site, volumes, publishing, consoles)
    runs, hooks = lifecycle.runs, lifecycle.hooks
    templates = Templates(site, volumes, shared, isolation)
    hooks.find_template, hooks.on_bad_template = templates.find, templates.discard
    machines = Machines(site, networks, ports, lifecycle, volumes, publishing)
    keeping = Keeping(site, machines, Making(site, ports, templates, volumes), templates)
    machines.stand_in = Taking(site, ports, keeping)
    netboot = _serve_at_gateways(site, ports, machines, hooks)
    limiting = Limiting(site, runs, ports.limits)
    hooks.on_begin.append(limiting.begin)
    machines.find_enforced = limiting.describe
    checks, restarts = Checks(site, runs), Restarts(site, lifecycle, machines.remove)
    machines.find_health = checks.view
    inserts = Inserts(site, machines, ports, lifecycle, hearts)
    networks.before_remove = inserts.remove_from_gateway
    hooks.on_moved.append(hearts.on_moved)
    hooks.on_ready += [hearts.on_ready, inserts.on_ready, checks.on_ready]
    hooks.on_end += [hearts.on_end, inserts.on_end, checks.on_end, restarts.on_end]
    changes = Changes(site, runs)
    confirming = Confirming(site, changes)
    configs = Configs(site, changes, confirming)
    placing = Placing(site, runs, changes, configs)
    inserts.move = placing.move
    machines.on_change.append(placing.on_change)
    hooks.before_ready.append(configs.prepare)
    hooks.on_ready += [placing.on_ready, keeping.on_ready]
    hooks.on_commit = configs.on_commit
    capturing, recording = Capturing(site, runs), Recording(site)
    firewalls = Firewalls(site, runs, changes)
    telling = Telling(site.events, site.clock)
    hooks.on_event = telling.on_event
    hooks.on_end.append(telling.on_end)
    scaling, governing, trial = _change_sizes(site, runs, hooks, telling, recording)
    copies = Copies(site, machines, ports, lifecycle, volumes)
    hooks.before_ready.insert(0, copies.join)
    hooks.on_end.append(copies.on_end)
    machines.before_remove += [inserts.remove_from, copies.forget]
    return Room(
        site=site,
        networks=networks,
        ports=ports,
        netboot=netboot,
        lifecycle=lifecycle,
        runs=runs,
        adopting=Adopting(site, lifecycle, publishing),
        machines=machines,
        hearts=hearts,
        inserts=inserts,
        sniffers=Sniffers(inserts, runs),
        consoles=consoles,
        displays=Displays(site),
        trials=Trials(machines, lifecycle),
        volumes=volumes,
        checks=checks,
        restarts=restarts,
        configs=configs,
        confirming=confirming,
        files=Files(runs),
        insight=Insight(site, runs, ports.pins, recording),
        recording=recording,
        updates=Updates(site, machines, ports, lifecycle, volumes, publishing, checks, limiting),
        templates=templates,
        snapshots=assemble_snapshots(site, machines, lifecycle, volumes, capturing),
        firewalls=firewalls,
        capturing=capturing,
        forks=Forks(site, copies, Instants(site, capturing, volumes)),
        firewall_changes=FirewallChanges(site, firewalls, configs),
        pools=Pools(site, machines, keeping),
        keeping=keeping,
        scaling=scaling,
        explaining=Explaining(site, governing),
        trial=trial,
    )
