"""Machines that are there and stay: what becomes of each, and what it has to let go before others can have it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from weft.model.machine import MachineSpec, NicSpec
from weft.model.network import NetworkSpec
from weft.plan.address import gateway_of
from weft.plan.changes import networks, volumes
from weft.plan.changes.addresses import choose_addresses
from weft.plan.changes.holdings import Claims, Going, Thing, find_asked, find_held, find_kept, find_shifted, strip
from weft.plan.changes.settle import settle_machine, want_nics
from weft.plan.changes.state import MachineNow
from weft.plan.changes.work import Work


@dataclass(slots=True)
class Move:
    """A machine on its way. `leave`: what it is in between, without what it has to let go.

    `waits`: machines that have to let something go first. `bounce`: why it has to be stopped and started in any case.
    """

    name: str
    now: MachineNow
    final: MachineSpec
    leave: MachineSpec | None = None
    waits: set[str] = field(default_factory=set)
    bounce: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Moves:
    """All machines that stay, and for new ones what they are made of and whom they wait for."""

    stay: dict[str, Move]
    new: dict[str, MachineSpec]
    waits: dict[str, set[str]]


def weigh_machines(work: Work, nets: networks.Fates, vols: volumes.Fates) -> Moves:
    """What becomes of the machines that a file names."""
    wanted = work.file.machine_specs()
    stay = {name: _settle(work, name, spec) for name, spec in wanted.items() if name in work.now.machines}
    new = {name: spec for name, spec in wanted.items() if name not in stay}
    finals = {**new, **{name: move.final for name, move in stay.items()}}
    claims: dict[Thing, set[str]] = {}
    for name, spec in finals.items():
        for thing in find_asked(spec):
            claims.setdefault(thing, set()).add(name)
    givers = _find_givers(work, stay, claims)
    waits = _find_waits(givers, claims)
    for name, move in stay.items():
        move.waits = waits.get(name, set())
        move.bounce = [*_find_bounces(work, move, nets, vols)]
        go = _find_going(work, move, nets, vols, givers.get(name, set()), is_awaited=name in givers)
        if go:
            _let_go(work, move, go, nets, claims)
    leaves = {name: move.leave for name, move in stay.items() if move.leave}
    finals = choose_addresses(work, nets, {**new, **{name: move.final for name, move in stay.items()}}, leaves)
    for name, move in stay.items():
        move.final = finals[name]
    return Moves(stay, {name: finals[name] for name in new}, {name: waits.get(name, set()) for name in new})


def _settle(work: Work, name: str, spec: MachineSpec) -> Move:
    now = work.now.machines[name]
    return Move(name, now, settle_machine(now, spec, work.find_image(name)))


def _find_givers(work: Work, stay: dict[str, Move], claims: Claims) -> dict[str, set[Thing]]:
    """Machines with what they have and another one is to have."""
    givers: dict[str, set[Thing]] = {}
    for name in (*stay, *work.going):
        machine = work.now.machines[name]
        held = find_held(machine, work.scene.knowledge.find_image(machine.spec.image))
        own = find_asked(stay[name].final) if name in stay else set()
        things = {thing for thing in held - own if claims.get(thing, set()) - {name}}
        if name in stay:
            things |= find_shifted(machine, stay[name].final)
        if things:
            givers[name] = things
    return givers


def _find_waits(givers: dict[str, set[Thing]], claims: Claims) -> dict[str, set[str]]:
    waits: dict[str, set[str]] = {}
    for giver, things in givers.items():
        for thing in things:
            for name in claims[thing] - {giver}:
                waits.setdefault(name, set()).add(giver)
    return waits


def _find_bounces(work: Work, move: Move, nets: networks.Fates, vols: volumes.Fates) -> Iterable[str]:
    if not move.now.state.is_live:
        return
    for name in sorted(work.networks_of(move.name)):
        if name in nets and not nets[name].is_remade and "dns" in nets[name].changed:
            yield f"network {name} has other name servers"
    for name in volumes.volumes_of(move.now.spec):
        if name in vols and vols[name].grows:
            yield f"volume {name} grows"
    if move.now.outdated and work.wishes.renew:
        yield f"image {move.final.image} has changed since it started"


def _find_going(
    work: Work, move: Move, nets: networks.Fates, vols: volumes.Fates, things: set[Thing], *, is_awaited: bool
) -> Going | None:
    """What a machine lets go before it becomes what it is to be; None: it can become that in one step."""
    comers = [fate.after for fate in nets.values() if fate.comes and fate.after]
    away = {
        name
        for name in work.networks_of(move.name)
        if name in nets and nets[name].goes and _is_awaited(nets[name], comers)
    }
    shrinking = {
        Thing("volume", "", name) for name in volumes.volumes_of(move.now.spec) if name in vols and vols[name].is_remade
    }
    if not (away or shrinking or things):
        return None
    if not (away or shrinking) and is_awaited and _is_free(move, things, comers):
        return None
    return Going(frozenset(away), frozenset(things | shrinking))


def _is_awaited(fate: networks.NetworkFate, comers: list[NetworkSpec]) -> bool:
    assert fate.before is not None
    return any(comer.name == fate.name or networks.overlap(fate.before, comer) for comer in comers)


def _is_free(move: Move, things: set[Thing], comers: list[NetworkSpec]) -> bool:
    """Whether a change takes from a machine what others wait for, and waits for nothing itself."""
    kept = {str(given.address) for given in find_kept(move.now, move.final).values()}
    kept |= {str(given.address6) for given in find_kept(move.now, move.final).values()}
    gives_place = any(thing.kind == "address" and thing.what in kept for thing in things)
    gives_place = gives_place or any(thing.kind == "mac" for thing in things)
    joins = {nic.network for nic in move.final.nics or ()} & {comer.name for comer in comers}
    return not gives_place and not joins and not move.waits


def _let_go(work: Work, move: Move, go: Going, nets: networks.Fates, claims: Claims) -> None:
    image = work.scene.knowledge.find_image(move.now.spec.image)
    move.bounce += [f"network {name} goes, or is made anew" for name in sorted(go.networks)]
    move.bounce += [f"volume {name} goes to another, or is made anew" for name in sorted(go.volumes)]
    move.leave = strip(move.now.spec, want_nics(move.now.spec, image) or (), move.now.nics, go)
    if go.networks and move.final.nics is not None:
        move.final = move.final.model_copy(update={"nics": _keep_places(move, go, nets, claims)})


def _keep_places(move: Move, go: Going, nets: networks.Fates, claims: Claims) -> tuple[NicSpec, ...]:
    """NICs that come back to a network that was made anew have the addresses that they had, where that is possible."""
    kept = find_kept(move.now, move.final)
    nics = []
    for number, nic in enumerate(move.final.nics or ()):
        given, fate = kept.get(number), nets.get(nic.network or "")
        if given is None or fate is None or fate.after is None or nic.network not in go.networks:
            nics.append(nic)
            continue
        again: dict[str, object] = {}
        if nic.mac is None and not claims.get(Thing("mac", "", given.mac), set()) - {move.name}:
            again["mac"] = given.mac
        subnet, address = fate.after.subnet, given.address
        is_free = not claims.get(Thing("address", fate.name, str(address)), set()) - {move.name}
        if nic.address is None and address and subnet and address in subnet and is_free:
            edges = (gateway_of(subnet), subnet.network_address, subnet.broadcast_address)
            again |= {} if address in edges else {"address": address}
        nics.append(nic.model_copy(update=again))
    return tuple(nics)
