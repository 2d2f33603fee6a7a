"""The steps of machines, and what each of them has to wait for. Pure."""

from typing import Any

from weft.model.machine import MachineSpec, State
from weft.model.steps import Kind, Verb
from weft.plan.changes import networks, volumes
from weft.plan.changes.fates import gone, made
from weft.plan.changes.moves import Move, Moves, weigh_machines
from weft.plan.changes.settle import find_secrets, read_settings, settle_settings
from weft.plan.changes.words import compare, compare_settings
from weft.plan.changes.work import UNNAMED, Run, Work
from weft.plan.update import SpecChange, plan_update

NEEDS_START = "needs a start"


def add_machines(work: Work, nets: networks.Fates, vols: volumes.Fates) -> Moves:
    """All steps of machines. What they wait for among themselves, and of networks and volumes."""
    moves = weigh_machines(work, nets, vols)
    gateways = _find_gateways(work)
    for name in sorted(work.file.machines, key=lambda name: name not in gateways):
        run = _add_new(work, name, moves.new[name]) if name in moves.new else _add_move(work, moves.stay[name])
        work.runs[name] = run
    for name in work.going:
        work.runs[name] = _add_removal(work, name)
    for name in moves.new:
        _wait_for_parts(work, name, moves.new[name], moves.waits[name], nets, vols)
    for name, move in moves.stay.items():
        _wait_for_parts(work, name, move.final, move.waits, nets, vols)
    for name in work.file.machines:
        _wait_for_needs(work, name, is_new=name in moves.new)
        _wait_for_names(work, name, moves)
    _hold_back(work, moves, nets, vols)
    return moves


def _add_new(work: Work, name: str, spec: MachineSpec) -> Run:
    machine = work.file.machines[name]
    settings = read_settings(work.find_image(name), name, machine.settings, machine.hostname)
    key = work.add(
        Kind.MACHINE,
        name,
        Verb.CREATE,
        why=("it is not there",),
        spec=spec,
        settings=settings or None,
        start=False,
        recipe=machine.build,
    )
    work.draft.need(key, work.images.get(machine.image_name))
    run = Run(begin=key, enter=key, end=key, settings=key)
    if machine.state == "running":
        run.start = run.end = work.add(Kind.MACHINE, name, Verb.START, why=("it is new",))
        work.draft.need(run.start, key)
    return run


def _add_removal(work: Work, name: str) -> Run:
    strangers = [insert for insert in work.now.inserts.values() if _stands_before(insert.spec.before, name)]
    named = {*work.once.inserts, *work.file.inserts}
    losses = tuple(
        f"insert {insert.spec.name}, which is before it" for insert in strangers if insert.logical not in named
    )
    key = work.add(Kind.MACHINE, name, Verb.REMOVE, why=(UNNAMED,), loses=losses)
    return Run(begin=key, let_go=key, end=key)


def _stands_before(port: str, machine: str) -> bool:
    return port.partition(":")[0] == machine


def _add_move(work: Work, move: Move) -> Run:
    """A machine that stays: stopped where it must be, changed, given settings, started."""
    run, steps = Run(), _Steps(work, move.name)
    machine = work.file.machines[move.name]
    is_live, is_wanted = move.now.state in (State.STARTING, State.RUNNING), machine.state == "running"
    if move.now.state is State.STARTING and is_wanted:  # until it has started nothing of it can be changed
        steps.add(Verb.START, "settle", why=("it is starting",))
    change = plan_update(move.now.spec, move.final)
    if is_live and (move.leave or move.bounce or not is_wanted):
        why = move.bounce or (["others wait for what it has"] if is_wanted else ["the file wants it stopped"])
        steps.add(Verb.STOP, why=tuple(why), restarts=(move.name,) if is_wanted else ())
        is_live = False
    if move.leave and plan_update(move.now.spec, move.leave).parts:
        lines = compare(move.now.spec, move.leave, plan_update(move.now.spec, move.leave).parts, "for a while")
        run.let_go = steps.add(Verb.CHANGE, "leave", spec=move.leave, why=tuple(lines))
    if (left := plan_update(move.leave or move.now.spec, move.final)).parts:
        why = _why(move.now.spec, move.final, change) or ["it gets back what it had"]
        restarts = (move.name,) if left.restart and is_live else ()
        why += [f"image {move.final.image} has changed since it started"] if restarts and move.now.outdated else []
        run.enter = steps.add(Verb.CHANGE, spec=move.final, why=tuple(why), restarts=restarts)
        if "image" in left.parts:
            work.draft.need(run.enter, work.images.get(machine.image_name))
    run.settings = _configure(work, move, steps)
    if is_wanted and not is_live:
        run.start = steps.add(Verb.START, why=(_why_start(move),))
    elif is_live and move.now.outdated and not (run.enter and left.restart):
        work.note(f"machine {move.name} runs on image {move.final.image} as it was when it started")
    run.begin, run.end = steps.first, steps.last
    run.let_go = run.let_go or run.enter
    return run


def _why_start(move: Move) -> str:
    return (
        "it was stopped for this"
        if move.now.state in (State.STARTING, State.RUNNING)
        else f"it is {move.now.state.value}"
    )


def _configure(work: Work, move: Move, steps: "_Steps") -> str | None:
    machine = work.file.machines[move.name]
    image = work.find_image(move.name)
    once = work.once.machines.get(move.name, ())
    now = move.now.settings
    after = settle_settings(image, move.name, now, machine.settings, once=once, hostname=machine.hostname)
    if after is None or machine.floppy is not None:
        return None
    return steps.add(Verb.CONFIGURE, settings=after, why=tuple(compare_settings(now, after, find_secrets(image))))


def _why(before: MachineSpec, after: MachineSpec, change: SpecChange) -> list[str]:
    return [*compare(before, after, change.live), *compare(before, after, change.restart, NEEDS_START)]


class _Steps:
    """One machine's steps, each after the one before it."""

    def __init__(self, work: Work, name: str) -> None:
        self._work, self._name = work, name
        self.first: str | None = None
        self.last: str | None = None

    def add(self, verb: Verb, mark: str = "", **rest: Any) -> str:
        key = self._work.add(Kind.MACHINE, self._name, verb, mark, **rest)
        self._work.draft.need(key, self.last)
        self.first, self.last = self.first or key, key
        return key


def _wait_for_parts(
    work: Work, name: str, spec: MachineSpec, waits: set[str], nets: networks.Fates, vols: volumes.Fates
) -> None:
    """A machine gets what is there: networks, volumes, and what others had before."""
    run = work.runs[name]
    joined = networks.wanted_networks(work, name)
    enter = run.enter or run.start
    work.draft.need(enter, *(made(nets, network) for network in sorted(joined)))
    work.draft.need(enter, *(made(vols, volume) for volume in volumes.volumes_of(spec)))
    for other in sorted(waits):
        work.draft.need(run.enter, work.runs[other].let_go)
        work.draft.need(run.start, work.runs[other].let_go)
    for other in _find_stopping(work, name, spec):
        work.draft.need(run.enter, work.runs[other].begin)
        work.draft.need(run.start, work.runs[other].begin)


def _find_stopping(work: Work, name: str, spec: MachineSpec) -> list[str]:
    """Machines that run with a volume of this one, and are to run no more."""
    return [
        other
        for other, machine in work.file.machines.items()
        if other != name and other in work.now.machines and machine.state == "stopped"
        if work.now.machines[other].state.is_live
        if volumes.volumes_of(spec).keys() & volumes.volumes_of(work.now.machines[other].spec).keys()
    ]


def _wait_for_needs(work: Work, name: str, *, is_new: bool) -> None:
    """What the file says is first is first: being made is not running. Gateways begin before what is behind them; to
    wait until they run is for a file to say: boots side by side take half as long."""
    run, runs = work.runs[name], work.runs
    others = [runs[other].end for other in work.file.machines[name].after if other in runs]
    if not is_new:
        work.draft.prefer(run.enter, *others)
    work.draft.prefer(run.start, *others, *(runs[other].begin for other in _find_gateways(work) if other != name))


def _find_gateways(work: Work) -> list[str]:
    gateways = dict.fromkeys(network.gateway for network in work.file.networks.values())
    return [name for name in gateways if name in work.file.machines]


def _wait_for_names(work: Work, name: str, moves: Moves) -> None:
    """Settings may name any machine of the room: they are saved once those that come are there, before others go."""
    if not work.file.machines[name].settings:
        return
    run = work.runs[name]
    work.draft.prefer(run.settings, *(work.runs[other].begin for other in moves.new))
    for other in work.going:
        work.draft.prefer(work.runs[other].begin, run.settings)


def _hold_back(work: Work, moves: Moves, nets: networks.Fates, vols: volumes.Fates) -> None:
    """Networks and volumes go when no machine has them any more; volumes grow when none runs with them."""
    for name, run in work.runs.items():
        if name not in work.now.machines:
            continue
        leave = moves.stay[name].leave if name in moves.stay else None
        left = {nic.network for nic in (leave.nics if leave and leave.nics else ())}
        for network in sorted(work.networks_of(name)):
            work.draft.need(gone(nets, network), run.enter if network in left else run.let_go)
        left = {*volumes.volumes_of(leave)} if leave else set()
        for volume in volumes.volumes_of(work.now.machines[name].spec):
            work.draft.need(gone(vols, volume), run.enter if volume in left else run.let_go)
            if volume in vols and vols[volume].grows and work.now.machines[name].state.is_live:
                work.draft.need(made(vols, volume), run.begin)
