"""Inserts: put in, changed, replaced without a gap, taken out. Pure.

Of one port's chain all that is new is put in first, one after the other, so that each finds its place by its number;
then what is old is taken out.
"""

from dataclasses import dataclass, field

from weft.model.fabric_file import InsertFile
from weft.model.insert import InsertSpec, InsertState, Mode
from weft.model.machine import MachineSpec
from weft.model.names import PortName, parse_port
from weft.model.steps import Kind, Verb
from weft.plan.changes import networks
from weft.plan.changes.chains import find_spot, find_steady, want_order
from weft.plan.changes.fates import gone, made
from weft.plan.changes.moves import Moves
from weft.plan.changes.settle import find_secrets, read_settings, settle_insert, settle_settings, want_nics
from weft.plan.changes.state import InsertNow
from weft.plan.changes.words import compare, compare_settings
from weft.plan.changes.work import UNNAMED, Work

LIVE = frozenset({"fail", "lifetime"})
"""What of an insert can be changed while frames flow through it."""
_FAILED = (InsertState.BYPASSED, InsertState.BLOCKED)


@dataclass
class _Chains:
    """Inserts under planning. `gone`: steps that took one out, by its own name."""

    work: Work
    nets: networks.Fates
    moves: Moves
    taken: set[str] = field(default_factory=set)
    torn: dict[str, str] = field(default_factory=dict)
    olds: dict[str, list[str]] = field(default_factory=dict)
    """Old ones that go once a chain has its new ones, by port."""

    def __post_init__(self) -> None:
        now, file = self.work.now, self.work.file
        self.taken = {*now.machines, *file.machines, *(insert.spec.name for insert in now.inserts.values())}
        self.present = [insert for insert in now.inserts.values() if insert.state is not InsertState.EJECTING]
        self.there: dict[str, InsertNow] = {}
        for insert in self.present:
            if insert.logical not in self.there or self._is_better(insert):
                self.there[insert.logical] = insert
        self.spare = [insert for insert in self.present if self.there[insert.logical] is not insert]

    def _is_better(self, insert: InsertNow) -> bool:
        """Of two that stand for the same, of which one was to take the other's place: whether it is this one."""
        wanted = self.work.file.inserts.get(insert.logical)
        return wanted is not None and not _find_replaced(self, insert, wanted)

    def chain(self, port: str) -> list[InsertNow]:
        """What is at a port and stays there until something better has come."""
        return [one for one in self.present if one.spec.before == port and one.spec.name not in self.torn]

    def find_old(self, logical: str) -> InsertNow | None:
        """The one that is there, and has not been taken out."""
        old = self.there.get(logical)
        return old if old is not None and old.spec.name not in self.torn else None

    def tear(self, name: str, key: str) -> None:
        """One is taken out by this step, and its name is free then, unless a machine is to have it."""
        self.torn[name] = key
        if name not in {**self.work.now.machines, **self.work.file.machines}:
            self.taken.discard(name)

    def choose_name(self, logical: str) -> str:
        """A name of its own for a new insert."""
        number, name = 1, logical
        others = {*self.work.file.inserts} - {logical}
        while name in self.taken or (number > 1 and name in others):
            number += 1
            name = f"{logical[: 62 - len(str(number))].rstrip('-')}-{number}"
        self.taken.add(name)
        return name


def add_inserts(work: Work, nets: networks.Fates, moves: Moves) -> None:
    """All steps of inserts."""
    chains = _Chains(work, nets, moves)
    _tear_out(chains)
    ports: dict[str, dict[str, InsertFile]] = {}
    for name, insert in work.file.inserts.items():
        ports.setdefault(insert.before, {})[name] = insert
    plans = {port: _fill(chains, port, inserts) for port, inserts in ports.items()}
    for logical in work.once.inserts:
        old = chains.find_old(logical)
        if old is not None and logical not in work.file.inserts:
            _take_out(chains, old, UNNAMED)
    for spare in chains.spare:
        if spare.spec.name not in chains.torn:
            _take_out(chains, spare, f"{chains.there[spare.logical].spec.name} stands in its place")
    _clear(chains, plans)


def _tear_out(chains: _Chains) -> None:
    """Inserts at places that are there no more, or are others for a while: they go before these do."""
    for insert in chains.present:
        why = _find_upheaval(chains, parse_port(insert.spec.before)) or _find_namesake(chains, insert)
        if why is None:
            continue
        named = insert.logical in {*chains.work.once.inserts, *chains.work.file.inserts}
        losses = () if named else (f"insert {insert.spec.name}, which no file names",)
        key = chains.work.add(Kind.INSERT, insert.spec.name, Verb.REMOVE, why=(why,), loses=losses)
        chains.tear(insert.spec.name, key)
        _hold_up(chains, parse_port(insert.spec.before), key)
        if (run := chains.work.runs.get(insert.spec.name)) is not None:
            chains.work.draft.need(run.begin, key)


def _find_upheaval(chains: _Chains, port: PortName) -> str | None:
    """Why nothing can stay at a port."""
    if port.network is not None:
        fate = chains.nets.get(port.network)
        return f"network {port.network} goes, or is made anew" if fate and fate.goes else None
    if port.machine in chains.work.going:
        return f"machine {port.machine} goes" if _is_named_at(chains, port) else None
    move = chains.moves.stay.get(port.machine)
    if move is None:
        return None
    specs = [spec for spec in (move.now.spec, move.leave, move.final) if spec]
    places = {_network_at(chains, spec, port.nic) for spec in specs}
    return f"NIC {port.nic} of machine {port.machine} becomes another" if len(places) > 1 else None


def _find_namesake(chains: _Chains, insert: InsertNow) -> str | None:
    name = insert.spec.name
    is_taken = name in chains.work.file.machines and name not in chains.work.now.machines
    return f"a machine is to be called {name}" if is_taken else None


def _is_named_at(chains: _Chains, port: PortName) -> bool:
    named = {*chains.work.once.inserts, *chains.work.file.inserts}
    return any(one.logical in named for one in chains.present if one.spec.before == str(port))


def _network_at(chains: _Chains, spec: MachineSpec, nic: int) -> str | None:
    nics = want_nics(spec, chains.work.scene.knowledge.find_image(spec.image)) or ()
    return nics[nic].network if nic < len(nics) else ""


def _hold_up(chains: _Chains, port: PortName, key: str) -> None:
    """What has to wait until an insert is out."""
    draft, work = chains.work.draft, chains.work
    if port.network is not None:
        draft.need(gone(chains.nets, port.network), key)
    elif (run := work.runs.get(port.machine)) is not None:
        draft.need(run.begin, key)


def _fill(chains: _Chains, port: str, inserts: dict[str, InsertFile]) -> list[str]:
    """Bring what is wanted into a port's chain; the steps that put something in, in order."""
    here = chains.chain(port)
    order = want_order(inserts)
    steady = find_steady([one.logical for one in here if chains.there[one.logical] is one], order)
    row = _Row([one.spec.name for one in here])
    for logical in order:
        if logical in steady and not _find_replaced(chains, chains.there[logical], inserts[logical]):
            row.own[logical] = chains.there[logical].spec.name
    for number, logical in enumerate(order):
        if logical in row.own:
            _change(chains, chains.there[logical], inserts[logical])
        else:
            _put_in(chains, row, order, number, inserts[logical])
    return row.steps


@dataclass
class _Row:
    """A chain as it is after the steps so far: names of inserts, and of those that the file knows, which is whose."""

    names: list[str]
    own: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    def find_spot(self, order: list[str], number: int, old: InsertNow | None, at: int | None) -> int:
        """Where the one goes that is to be the `number`th of the file's."""
        before = self.own[order[number - 1]] if number else None
        after = next((self.own[name] for name in order[number:] if name in self.own), None)
        place = old.spec.name if old and old.spec.name in self.names else None
        return find_spot(self.names, before, after, place, at)


def _find_replaced(chains: _Chains, now: InsertNow, insert: InsertFile) -> list[str]:
    """What cannot be changed of one that is there."""
    wanted = settle_insert(now.spec, insert.to_spec(now.spec.name), chains.work.scene.find_image(insert))
    changed = [part for part in InsertSpec.model_fields if getattr(now.spec, part) != getattr(wanted, part)]
    is_shorter = wanted.lifetime is None
    return [part for part in changed if part not in LIVE or (part == "lifetime" and is_shorter)]


def _change(chains: _Chains, now: InsertNow, insert: InsertFile) -> None:
    """An insert that stays: its policy, its settings, and that it works."""
    work, name = chains.work, now.spec.name
    wanted = settle_insert(now.spec, insert.to_spec(name), work.scene.find_image(insert))
    stands_for = now.logical if now.logical != name else None
    parts = [part for part in sorted(LIVE) if getattr(now.spec, part) != getattr(wanted, part)]
    last = None
    if parts:
        why = tuple(compare(now.spec, wanted, parts))
        last = work.add(Kind.INSERT, name, Verb.CHANGE, spec=wanted, why=why, stands_for=stands_for)
    if now.state in _FAILED:
        why = (f"it is {now.state.value}",)
        started = work.add(Kind.INSERT, name, Verb.START, why=why, stands_for=stands_for)
        work.draft.need(started, last)
        last = started
    image = work.scene.find_image(insert)
    once = work.once.inserts.get(now.logical, ())
    settings = settle_settings(image, name, now.settings, insert.settings, once=once)
    if settings is not None:
        why = tuple(compare_settings(now.settings, settings, find_secrets(image)))
        key = work.add(Kind.INSERT, name, Verb.CONFIGURE, settings=settings, why=why, stands_for=stands_for)
        work.draft.need(key, last)


def _put_in(chains: _Chains, row: _Row, order: list[str], number: int, insert: InsertFile) -> None:
    """One more in a chain, and the old one out whose place it takes."""
    logical = order[number]
    old, why = chains.find_old(logical), _why_new(chains, chains.find_old(logical), insert)
    spot = row.find_spot(order, number, old, insert.at)
    if old is not None and Mode.ROUTED in (old.spec.mode, insert.mode):
        _make_way(chains, row, old)
        spot, old = min(spot, len(row.names)), None
    name = chains.choose_name(logical)
    position = None if spot == len(row.names) else spot
    key = _create(chains, logical, insert.to_spec(name).model_copy(update={"position": position}), insert, why)
    chains.work.draft.need(key, *row.steps[-1:])
    row.names.insert(spot, name)
    row.own[logical] = name
    row.steps.append(key)
    if old is not None:
        _take_out(chains, old, f"{name} takes its place", key)


def _make_way(chains: _Chains, row: _Row, old: InsertNow) -> None:
    """A gateway's address is one insert's at a time."""
    key = chains.work.add(Kind.INSERT, old.spec.name, Verb.REMOVE, why=("another one takes its place",))
    chains.work.draft.need(key, *row.steps[-1:])
    chains.tear(old.spec.name, key)
    if old.spec.name in row.names:
        row.names.remove(old.spec.name)
        row.steps.append(key)


def _create(chains: _Chains, logical: str, spec: InsertSpec, insert: InsertFile, why: tuple[str, ...]) -> str:
    work, image = chains.work, chains.work.scene.find_image(insert)
    spec = spec.model_copy(update={"settings": read_settings(image, spec.name, insert.settings)})
    stands_for = logical if logical != spec.name else None
    key = work.add(Kind.INSERT, spec.name, Verb.CREATE, spec=spec, why=why, stands_for=stands_for, recipe=insert.build)
    port = parse_port(spec.before)
    work.draft.need(key, work.images.get(insert.image_name), chains.torn.get(spec.name))
    if port.network is not None:
        work.draft.need(key, made(chains.nets, port.network))
    elif port.machine in work.runs:
        work.draft.need(key, work.runs[port.machine].end)
    if insert.settings:  # they may name any machine of the room
        work.draft.prefer(key, *(work.runs[other].begin for other in chains.moves.new))
    return key


def _why_new(chains: _Chains, old: InsertNow | None, insert: InsertFile) -> tuple[str, ...]:
    if old is None:
        return ("it is not there",)
    wanted = settle_insert(old.spec, insert.to_spec(old.spec.name), chains.work.scene.find_image(insert))
    lines = compare(old.spec, wanted, _find_replaced(chains, old, insert), "is for another one in its place")
    return tuple(lines) or ("its place in the chain is another",)


def _take_out(chains: _Chains, old: InsertNow, why: str, replaced: str | None = None) -> None:
    """An old one goes, when the new one is there."""
    stands_for = old.logical if old.logical != old.spec.name else None
    key = chains.work.add(Kind.INSERT, old.spec.name, Verb.REMOVE, why=(why,), stands_for=stands_for)
    chains.work.draft.need(key, replaced)
    chains.olds.setdefault(old.spec.before, []).append(key)


def _clear(chains: _Chains, plans: dict[str, list[str]]) -> None:
    """What is old goes when all that is new at its port is in."""
    for port, keys in chains.olds.items():
        for key in keys:
            chains.work.draft.need(key, *plans.get(port, [])[-1:])
