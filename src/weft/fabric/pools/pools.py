"""Pools as a whole: made, changed, looked at, removed. Their copies come and go in `keeping`."""

from collections.abc import Iterator

from weft.fabric.machines import Machines
from weft.fabric.pools.fitting import want_copy
from weft.fabric.pools.keeping import Keeping
from weft.fabric.records.pool import CopyRecord, PoolRecord
from weft.fabric.site import Site
from weft.model.errors import Invalid, NotFound, Unavailable, WeftError
from weft.model.machine import MachineSpec, MachineView, State
from weft.model.pool import PoolSpec, PoolView
from weft.plan.pool import find_shortage


class Pools:
    """The pools of a room."""

    def __init__(self, site: Site, machines: Machines, keeping: Keeping) -> None:
        self._site = site
        self._shelf = site.shelves.pools
        self._machines = machines
        self._keeping = keeping

    async def set(self, spec: PoolSpec) -> PoolRecord:
        """Make a pool, or change the one of this image. Raises NotFound (image), Invalid for what cannot be copied."""
        image = self._site.images.get(spec.image)
        spec = spec.model_copy(update={"image": image.name})
        if not want_copy(self._site, MachineSpec(name="pool", image=image.name)):
            raise Invalid(f"machines of image {image.name!r} have disks of their own, and boot")
        before = self._shelf.find(spec.image)
        created = before.created if before else self._site.clock()
        record = await self._shelf.save(PoolRecord(spec=spec, created=created))
        what = f"pool of {spec.image}: {spec.size} copies"
        if before is None:
            self._site.events.publish("pool.created", spec.image, what)
        else:
            self._site.events.publish("pool.changed", spec.image, what)
        self._keeping.wake()
        return record

    def get(self, image: str) -> PoolRecord:
        """The pool of an image. Raises NotFound."""
        known = self._site.images.find(image)
        record = self._shelf.find(known.name if known else image) or self._shelf.find(image)
        if record is None:
            raise NotFound(f"there is no pool of image {image!r}", hint=f"weft pool set {image} 2")
        return record

    async def remove(self, image: str) -> None:
        """Take a pool away; its copies end. Raises NotFound."""
        record = self.get(image)
        await self._shelf.drop(record.name)
        self._site.events.publish("pool.removed", record.name, f"pool of {record.name} removed")
        self._keeping.wake()

    async def wait_full(self, image: str) -> None:
        """Until all copies of a pool are ready. Raises NotFound, Unavailable when they cannot be."""
        await self._keeping.wait_rest()
        view = await self.view(self.get(image))
        if view.ready < view.size:
            raise Unavailable(f"pool of {image}: {view.ready} of {view.size} copies are ready: {view.reason}")

    async def clear(self) -> None:
        """All of them, and every copy."""
        for record in self._shelf:
            await self._shelf.drop(record.name)
        await self._keeping.end_all()

    async def view(self, record: PoolRecord) -> PoolView:
        """A pool as it is shown."""
        spec, reason, memory, fits = record.spec, "", record.spec.memory or 0, ""
        try:
            wanted = await self._keeping.describe(record)
            reason = find_shortage(
                wanted,
                self._keeping.copies(),
                most=self._site.settings.pool_limit,
                failed=self._keeping.find_failure(record.name),
            )
            memory, fits = memory or self._site.images.get(spec.image).memory, wanted.fits
        except WeftError as err:
            reason = err.message
        ready = sum(copy.ready and copy.fits == fits for copy in self._site.shelves.copies if copy.image == record.name)
        return PoolView(
            image=spec.image,
            size=spec.size,
            ready=ready,
            memory=memory,
            cpus=spec.cpus,
            created=record.created,
            reason=reason,
        )

    def views_of_copies(self) -> Iterator[MachineView]:
        """Copies as `weft ps --all` shows them."""
        for copy in sorted(self._site.shelves.copies, key=lambda copy: copy.created):
            yield self._view_copy(copy)

    def _view_copy(self, copy: CopyRecord) -> MachineView:
        spec = copy.machine.spec.model_copy(update={"name": copy.machine.group_name})
        view = self._machines.view(copy.machine.with_(spec=spec))
        state = State.POOLED if copy.ready else State.STARTING
        return view.model_copy(update={"state": state, "networks": [], "floppy": None})
