"""The templates of a room: found for machines that start, made, shown, removed.

Those of rooms that are not strict are all rooms' in common, and so is the memory that comes of them.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

from weft.fabric.moments.moment import Moment, differences
from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.floppies import is_appliance
from weft.fabric.site import Site
from weft.fabric.templates.choosing import complete_spec, find_key, find_spec, want_shape
from weft.fabric.templates.library import Library, TemplateRecord, open_library
from weft.fabric.templates.moulds import Moulds
from weft.fabric.volumes import Volumes
from weft.host.facts import read_available
from weft.model.errors import Invalid, NotFound, WeftError
from weft.model.machine import State
from weft.model.room import Isolation
from weft.model.template import ORIGIN, TemplatePruneReport, TemplateSpec, TemplateView

log = logging.getLogger(__name__)

RETRY = 300.0
"""Seconds for which a template that could not be made is not tried again by itself."""
LOOK, LOOKS = 0.25, 240
"""Seconds between two looks whether machines are being started, and how many: then it is never a better time."""
KEEPING = 60.0
"""Seconds between two looks at which templates are still of use."""
TIGHT = 0.1
"""Less of the host's memory than this part left, and what no machine has goes at once."""


class Templates:
    """The templates that machines of one room go on from. `isolation` is the room's."""

    def __init__(self, site: Site, volumes: Volumes, shared: Library, isolation: Isolation) -> None:
        self._site = site
        self._shared = shared
        self._own = open_library(site.layout.home / "own-templates", site.clock)
        self._moulds = Moulds(site, volumes)
        self._failed: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._stopped = False
        self.isolation = isolation
        for library in (self._own, shared):
            library.users[site.room] = self._keys_in_use

    @property
    def library(self) -> Library:
        """Where the room's templates are."""
        return self._own if self.isolation is Isolation.STRICT else self._shared

    async def find(self, machine: MachineRecord) -> Moment | None:
        """What a machine that starts can go on from; it stays the library's. None: it has to boot.

        An appliance that has to is made a template for, beside, so that the next one need not.
        """
        if not self._site.settings.templates:
            return None
        image = self._site.images.get(machine.spec.image)
        spec = find_spec(machine, image)
        if spec is None:
            return None
        key = find_key(self._site, spec)
        moment = await self._load(key, spec)
        if moment is None and is_appliance(image):
            self._make_beside(key, spec)
        return moment

    async def create(self, spec: TemplateSpec) -> TemplateView:
        """Make a template, unless it is there. Raises NotFound (image, kernel), Invalid, NoRoom, Unavailable."""
        spec = complete_spec(self._site, spec)
        image = self._site.images.get(spec.image)
        if image.volumes:
            raise Invalid(f"image {image.name!r} keeps something on a disk, and a template has none")
        if spec.floppy and not is_appliance(image):
            raise Invalid(f"image {image.name!r} is no appliance, so its machines have no floppy")
        key = find_key(self._site, spec)
        return self.view(self.library.find(key) or await self._make(key, spec))

    def discard(self, machine: MachineRecord, reason: str) -> None:
        """A machine could not go on from its template, so no other one shall."""
        key = _find_key(machine)
        self._failed[key] = time.monotonic()
        self._throw_away(key, f"machine {machine.name} could not go on from it: {reason}")

    def get(self, reference: str) -> TemplateRecord:
        """By the beginning of its key, or its image's name. Raises NotFound, Invalid."""
        return self.library.get(reference)

    def remove(self, reference: str) -> None:
        """Forget a template; machines that went on from it run on. Raises NotFound, Invalid."""
        self.library.remove(self.get(reference).key)

    def prune(self, *, everything: bool = False) -> TemplatePruneReport:
        """Remove those that no machine will ever go on from, or all."""
        gone = [one for one in self.library.list() if everything or self._find_stale(one)]
        return TemplatePruneReport(
            templates=[one.key for one in gone], freed=sum(self.library.remove(one.key) for one in gone)
        )

    def views(self) -> list[TemplateView]:
        """All of the room's, by image and age."""
        return [self.view(record) for record in self.library.list()]

    def view(self, record: TemplateRecord) -> TemplateView:
        """A template as it is shown."""
        library, spec = self.library, record.spec
        return TemplateView(
            key=record.key,
            image=spec.image,
            digest=record.digest,
            kernel=spec.kernel or "",
            profile=spec.profile,
            memory=spec.memory or 0,
            cpus=spec.cpus,
            nics=spec.nics or 0,
            floppy=spec.floppy,
            room=self._site.room if library is self._own else None,
            stale=self._find_stale(record),
            loaded=library.is_loaded(record.key),
            machines=sum(key == record.key for key in self._keys_in_use()),
            size=library.size(record.key),
            created=record.created,
            used=library.used(record.key),
            took=record.took,
        )

    async def adopt(self) -> None:
        """Remove what an earlier daemon left half made."""
        await self._moulds.sweep()

    async def stop(self) -> None:
        """Give up what is being made, and begin nothing more: the room is taken down."""
        self._stopped = True
        for task in list(self._waiting.values()):
            task.cancel()
        await self._moulds.stop()

    async def keep(self) -> None:
        """Let go of what is of no use any more, for ever."""
        while True:
            await asyncio.sleep(KEEPING)
            available, total = read_available(), self._site.facts.memory_bytes
            self._own.trim(tight=available < TIGHT * total)
            self.prune()

    async def _load(self, key: str, spec: TemplateSpec) -> Moment | None:
        try:
            moment = await self.library.load(key)
        except WeftError as err:
            self._throw_away(key, err.message)
            return None
        if moment is not None and (found := differences(want_shape(self._site, spec), moment.shape)):
            self._throw_away(key, "; ".join(found))
            return None
        return moment

    def _throw_away(self, key: str, reason: str) -> None:
        record = self.library.find(key)
        self.library.remove(key)
        of = f" of {record.spec.image}" if record else ""
        self._site.events.publish("template.failed", key, f"template {key}{of} was thrown away: {reason}")

    def _make_beside(self, key: str, spec: TemplateSpec) -> None:
        """Begin to make a template, unless that is under way or has failed a moment ago. Nobody waits for it."""
        again = self._failed.get(key)
        calm = again is None or time.monotonic() - again > RETRY
        if calm and key not in self._waiting and not self._stopped:
            task = self._site.tasks.start(self._make_when_calm(key, spec), f"template-{key}")
            self._waiting[key] = task
            task.add_done_callback(lambda _: self._waiting.pop(key, None))

    async def _make_when_calm(self, key: str, spec: TemplateSpec) -> None:
        for _ in range(LOOKS):
            if not self._is_busy():
                break
            await asyncio.sleep(LOOK)
        try:
            await self._make(key, spec)
        except WeftError as err:
            self._failed[key] = time.monotonic()
            self._site.events.publish("template.failed", key, f"no template of {spec.image}: {err.message}")

    async def _make(self, key: str, spec: TemplateSpec) -> TemplateRecord:
        library = self.library
        async with library.making:
            if record := library.find(key):
                return record
            image, begin = self._site.images.get(spec.image), time.monotonic()
            moment = await self._moulds.cast(spec)
            record = TemplateRecord(
                key=key,
                spec=spec,
                digest=image.digest,
                created=self._site.clock(),
                took=time.monotonic() - begin,
            )
            await library.put(record, moment)
        self._site.events.publish("template.created", key, f"template {key} of {spec.image} was made")
        self.prune()
        return record

    def _is_busy(self) -> bool:
        """Whether somebody waits for a machine."""
        return any(machine.state is State.STARTING for machine in self._site.shelves.machines)

    def _keys_in_use(self) -> Iterable[str]:
        """The templates that machines of the room run on, once for each."""
        for machine in self._site.shelves.machines:
            if machine.state.is_live and machine.origin.startswith(ORIGIN):
                yield _find_key(machine)
        for copy in self._site.shelves.copies:
            if copy.machine.origin.startswith(ORIGIN):
                yield _find_key(copy.machine)

    def _find_stale(self, record: TemplateRecord) -> str:
        """Why a template is of no use any more."""
        try:
            image = self._site.images.get(record.digest)
            spec = record.spec.model_copy(update={"image": image.name})
            current = find_key(self._site, spec)
        except NotFound as err:
            return err.message
        return "" if current == record.key else "QEMU, the kernel, the init or the way machines are booted is another"


def _find_key(machine: MachineRecord) -> str:
    """The key of the template that a machine went on from; one from a pool says that, too."""
    return machine.origin.removeprefix(ORIGIN).partition(",")[0]
