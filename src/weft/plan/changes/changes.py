"""From rooms as they are to rooms as a fabric file says, and back to what was there before it. Pure."""

from collections.abc import Collection, Mapping

from weft.model.fabric_file import FabricFile, RoomFile
from weft.model.names import DEFAULT_NETWORK, DEFAULT_ROOM
from weft.model.steps import Kind, Plan, Step, Verb
from weft.plan.changes.draft import Draft
from weft.plan.changes.images import add_images
from weft.plan.changes.inserts import add_inserts
from weft.plan.changes.machines import add_machines
from weft.plan.changes.named import Named
from weft.plan.changes.networks import add_networks, weigh_networks
from weft.plan.changes.pools import add_pools
from weft.plan.changes.state import RoomNow
from weft.plan.changes.volumes import add_volumes, weigh_volumes
from weft.plan.changes.words import compare
from weft.plan.changes.work import UNNAMED, Volumes, Wishes, Work
from weft.plan.fabric_file.knowledge import Knowledge
from weft.plan.fabric_file.scene import Scene

NOTHING = Named()


def plan_changes(
    file: FabricFile,
    now: Mapping[str, RoomNow],
    known: Knowledge,
    *,
    once: Mapping[str, Named] | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - it is frozen
    only: Collection[str] | None = None,
    path: str | None = None,
) -> Plan:
    """What leads from rooms as they are to what a file says that `check_file` has nothing against.

    `now`: the rooms that are there. `once`: what was named in each room when a file was last applied to it; rooms that
    are in it and not in the file go. `only`: plan nothing but these rooms. `path`: where the file is.
    """
    once = once or {}
    names = [name for name in dict.fromkeys([*file.rooms, *once]) if only is None or name in only]
    rooms = {name: room for name, room in file.rooms.items() if name in names}
    draft, notes = Draft(), list[str]()
    images = add_images(FabricFile(rooms=rooms), known, wishes, draft)
    for name in names:
        here = now.get(name) or RoomNow(name, exists=False)
        scene = Scene(name, rooms.get(name, RoomFile()), known)
        work = Work(here, scene, once.get(name, NOTHING), wishes, draft, images, notes)
        _plan_room(work, is_named=name in rooms)
    return Plan(file=path, rooms=tuple(names), steps=draft.steps(), notes=tuple(notes))


def plan_down(
    now: Mapping[str, RoomNow], known: Knowledge, once: Mapping[str, Named], *, volumes: bool = False
) -> Plan:
    """What takes away all that a file named in these rooms; with `volumes` what is on volumes, too."""
    wishes = Wishes(volumes=Volumes.ALL if volumes else Volumes.NONE)
    plan = plan_changes(FabricFile(), now, known, once=once, wishes=wishes)
    # An empty file and none at all come to the same, but somebody who asks for it is told so in other words.
    return plan.model_copy(update={"steps": tuple(map(_say_down, plan.steps))})


def _say_down(step: Step) -> Step:
    return step.model_copy(update={"why": tuple("the file made it" if why == UNNAMED else why for why in step.why)})


def _plan_room(work: Work, *, is_named: bool) -> None:
    if not is_named and not work.now.exists:
        return
    made = _add_room(work) if is_named else None
    nets, vols = weigh_networks(work), weigh_volumes(work)
    add_networks(work, nets)
    add_volumes(work, vols)
    moves = add_machines(work, nets, vols)
    add_inserts(work, nets, moves)
    add_pools(work)
    for key in work.draft.keys(work.name):
        if not work.draft.needs_any(key, work.name):
            work.draft.need(key, made)
    if not is_named:
        _remove_room(work)


def _add_room(work: Work) -> str | None:
    """The room itself; the step before which nothing can be in it."""
    spec = work.file.to_spec(work.name)
    if not work.now.exists:
        return work.add(Kind.ROOM, work.name, Verb.CREATE, spec=spec, why=("it is not there",))
    before = work.now.spec
    if parts := [
        part for part in ("description", "isolation", "resources") if getattr(before, part) != getattr(spec, part)
    ]:
        why = compare(before, spec, parts)
        work.add(Kind.ROOM, work.name, Verb.CHANGE, spec=spec, why=tuple(why))
    return None


def _remove_room(work: Work) -> None:
    """A room that nothing is left in goes. The default one is always there."""
    steps = work.draft.keys(work.name)
    gone = {(step.kind, step.name) for step in map(work.draft.find, steps) if step.verb is Verb.REMOVE}
    left = [
        f"{kind} {name}"
        for kind in (Kind.MACHINE, Kind.INSERT, Kind.VOLUME, Kind.NETWORK)
        for name in _names_of(work.now, kind)
        if (kind, name) not in {*gone, (Kind.NETWORK, DEFAULT_NETWORK)}
    ]
    if left and work.name != DEFAULT_ROOM:
        work.note(f"the room stays: {', '.join(left)} {'are' if len(left) > 1 else 'is'} in it")
    elif work.name != DEFAULT_ROOM:
        work.draft.need(work.add(Kind.ROOM, work.name, Verb.REMOVE, why=(UNNAMED,)), *steps)


def _names_of(now: RoomNow, kind: Kind) -> list[str]:
    if kind is Kind.INSERT:
        return [insert.spec.name for insert in now.inserts.values()]
    return list({Kind.MACHINE: now.machines, Kind.VOLUME: now.volumes, Kind.NETWORK: now.networks}[kind])
