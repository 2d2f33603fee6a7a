"""Fabric files made true: checked, compared with what is there, and carried out."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.images import Images
from weft.fabric.reconciling.acts import Means, act
from weft.fabric.reconciling.applying import Run, Watch
from weft.fabric.reconciling.knowing import HostKnowledge
from weft.fabric.reconciling.observing import Observer
from weft.fabric.reconciling.starting import limit_boots
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.image.progress import Progress
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.fabric_file import FabricFile
from weft.model.problem import Problem, find_errors
from weft.model.steps import ApplyReport, Kind, Plan, Step, Verb
from weft.plan.changes.changes import plan_changes, plan_down
from weft.plan.changes.export import export_rooms
from weft.plan.changes.named import Named, join_named, name_parts
from weft.plan.changes.work import Wishes
from weft.plan.fabric_file.check import check_file
from weft.plan.fabric_file.read import Reading
from weft.plan.fabric_file.write import dump_file, dump_yaml


@dataclass(frozen=True, slots=True)
class Source:
    """A fabric file: its absolute path, which says whose it is and what paths in it are relative to, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a file. `rooms`: of these only, if any are named. `build` and `pull`: images are to be made or
    fetched anew, and machines started anew that ran on the old ones. `down`: all that it made is to go; with `volumes`
    these too.
    """

    rooms: tuple[str, ...] = ()
    build: bool = False
    pull: bool = False
    down: bool = False
    volumes: bool = False


@dataclass(frozen=True, slots=True)
class Aim:
    """What rooms are to be, and what a file has named in each so far."""

    file: FabricFile
    once: dict[str, Named]
    warnings: list[Problem]

    @property
    def rooms(self) -> list[str]:
        return list(dict.fromkeys([*self.file.rooms, *self.once]))


class Reconciler:
    """Makes rooms what fabric files say. One file at a time in each room."""

    def __init__(self, shared: Shared, rooms: Rooms, images: Images) -> None:
        self._rooms = rooms
        self._knowledge = HostKnowledge(shared)
        self._observer = Observer(rooms)
        self._means = Means(shared, rooms, images, limit_boots(shared.facts), asyncio.Semaphore(1))
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def check(self, source: Source) -> Reading:
        """A file with all that is wrong with it."""
        return await asyncio.to_thread(check_file, source.text, str(Path(source.path).parent), self._knowledge)

    async def render(self, source: Source) -> str:
        """A file in long forms, with defaults. Raises Invalid."""
        reading = await self.check(source)
        require_sound(reading.problems, source.path)
        return dump_yaml(dump_file(reading.file, defaults=True))

    async def export(self, room: str, *, exact: bool) -> str:
        """A file for which there is nothing to do. `exact`: with what was given. Raises NotFound, WrongState."""
        self._rooms.get(room)
        now = await self._observer.look([room])
        return export_rooms(now.values(), self._knowledge, exact=exact)

    async def plan(self, source: Source, wish: Wish) -> tuple[Plan, list[Problem]]:
        """What would be done, and what is remarkable about the file. Raises Invalid, NotFound, WrongState."""
        aim = await self._aim(source, wish)
        return await self._plan(source, aim, wish), aim.warnings

    async def apply(self, source: Source, wish: Wish, agreed: Collection[str] | None, watch: Watch) -> ApplyReport:
        """Do it. `agreed`: keys of the steps that may restart or lose something; None: all may.

        Raises Invalid, NotFound, and WrongState before anything was done when a step may not.
        """
        aim = await self._aim(source, wish)
        async with self._hold(aim.rooms):
            aim = await self._aim(source, wish)
            plan = await self._plan(source, aim, wish)
            check_agreed(plan, agreed)
            return await _Carrying(self._means, source, aim).carry_out(plan, watch)

    async def _aim(self, source: Source, wish: Wish) -> Aim:
        """Of a file that is to be taken down it matters only which rooms it names, whatever else is wrong with it."""
        reading = await self.check(source)
        if not wish.down:
            require_sound(reading.problems, source.path)
        once = {
            record.name: Named.model_validate_json(record.applied)
            for record in self._rooms.records()
            if record.applied and not record.removing
            if record.file == source.path or record.name in reading.file.rooms
        }
        aim = Aim(FabricFile(), once, []) if wish.down else Aim(reading.file, once, reading.problems)
        return _narrow(aim, wish.rooms)

    async def _plan(self, source: Source, aim: Aim, wish: Wish) -> Plan:
        now = await self._observer.look(aim.rooms)
        if wish.down:
            plan = plan_down(now, self._knowledge, aim.once, volumes=wish.volumes)
            return plan.model_copy(update={"file": source.path})
        wishes = Wishes(build=wish.build, pull=wish.pull, renew=wish.build or wish.pull)
        return plan_changes(aim.file, now, self._knowledge, once=aim.once, wishes=wishes, path=source.path)

    @asynccontextmanager
    async def _hold(self, rooms: Iterable[str]) -> AsyncIterator[None]:
        """The rooms for oneself; always in the same order, so that nobody waits for somebody who waits for them."""
        async with AsyncExitStack() as stack:
            for name in sorted(rooms):
                await stack.enter_async_context(self._locks[name])
            yield


class _Carrying:
    """A plan that is carried out, and what is put on record of it: before it begins all that may come to be there."""

    def __init__(self, means: Means, source: Source, aim: Aim) -> None:
        self._means = means
        self._source = source
        self._aim = aim

    async def carry_out(self, plan: Plan, watch: Watch) -> ApplyReport:
        for name in self._aim.rooms:
            await self._note_begun(name)
        report = await Run(plan, self._act, watch).carry_out()
        if not report.failed and not report.stopped:
            for name in self._aim.rooms:
                await self._note_done(name)
        return report

    async def _act(self, step: Step, progress: Progress) -> None:
        await act(self._means, step, progress)
        if (step.kind, step.verb) == (Kind.ROOM, Verb.CREATE):
            await self._note_begun(step.name)

    async def _note_begun(self, name: str) -> None:
        """What a file named before and what it names now: both may be there, until it is carried out."""
        room = self._aim.file.rooms.get(name)
        if room is not None and self._is_there(name):
            named, once = name_parts(room), self._aim.once.get(name)
            await self._note(name, join_named(once, named) if once else named)

    async def _note_done(self, name: str) -> None:
        """What it names, or of a room that is taken down the volumes that were kept: they may go another time."""
        room = self._aim.file.rooms.get(name)
        if self._is_there(name):
            await self._note(name, name_parts(room) if room else self._find_kept(name))

    def _find_kept(self, name: str) -> Named | None:
        once, shelf = self._aim.once[name], self._means.rooms.get(name).site.shelves.volumes
        volumes, mounted = (tuple(filter(shelf.find, names)) for names in (once.volumes, once.mounted))
        return Named(volumes=volumes, mounted=mounted) if volumes or mounted else None

    async def _note(self, name: str, named: Named | None) -> None:
        """Unless it is noted already: most often nothing has changed."""
        record = self._means.rooms.record(name)
        file, applied = (self._source.path, named.model_dump_json()) if named else (None, None)
        if (record.file, record.applied) != (file, applied):
            await self._means.rooms.note(name, file=file, applied=applied)

    def _is_there(self, name: str) -> bool:
        return any(record.name == name for record in self._means.rooms.records())


def _narrow(aim: Aim, rooms: tuple[str, ...]) -> Aim:
    """Of these rooms alone. Raises NotFound for one that the file neither names nor has made."""
    if not rooms:
        return aim
    if unknown := [name for name in rooms if name not in aim.rooms]:
        raise NotFound(f"the file has no room {unknown[0]!r}", hint=f"it has {', '.join(aim.rooms) or 'none'}")
    file = FabricFile(rooms={name: room for name, room in aim.file.rooms.items() if name in rooms})
    return Aim(file, {name: note for name, note in aim.once.items() if name in rooms}, aim.warnings)


def require_sound(problems: list[Problem], name: str) -> None:
    """Raises Invalid with a line for each error, as editors find their way by."""
    if errors := find_errors(problems):
        what = f"{name} has {len(errors)} error{'s' * (len(errors) > 1)}"
        raise Invalid(what, detail="\n".join(error.dump(name) for error in problems))


def check_agreed(plan: Plan, agreed: Collection[str] | None) -> None:
    """Raises WrongState for steps that restart or lose something, and may not."""
    risky = [step for step in plan.steps if (step.restarts or step.loses) and agreed is not None]
    if refused := [step for step in risky if step.key not in (agreed or ())]:
        restarts = [name for step in refused for name in step.restarts]
        losses = [loss for step in refused for loss in step.loses]
        words = [f"restart {', '.join(restarts)}"] * bool(restarts) + [f"lose {', '.join(losses)}"] * bool(losses)
        raise WrongState(f"this would {' and '.join(words)}", hint="--yes agrees to it")
