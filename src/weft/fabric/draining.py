"""Draining: a routed insert stays in the path until it translates no flow any more, or its time is up."""

import asyncio
import logging
from collections import defaultdict

from weft.fabric.asking import ask
from weft.fabric.records.insert import InsertRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.model.errors import WeftError
from weft.model.insert import InsertState, Mode

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""How long an insert may drain unless something else is said."""


class Draining:
    """Runs the `drain` program of images: it lets new flows pass as they are, and ends when there are no others."""

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs
        self._cut_short: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def plan_end(self, record: InsertRecord, seconds: float | None) -> float | None:
        """When an insert that is to be ejected has drained at the latest; None when it holds nothing up."""
        seconds = DRAIN_SECONDS if seconds is None else seconds
        is_in_path = record.state is InsertState.ACTIVE and record.spec.mode is Mode.ROUTED
        return self._site.clock() + seconds if seconds and is_in_path and self._find_program(record) else None

    async def wait_drained(self, record: InsertRecord) -> None:
        """Until its program has ended, its time is up, or somebody has cut it short."""
        assert record.until is not None
        program = asyncio.create_task(self._run(record))
        cut_short = asyncio.create_task(self._cut_short[record.name].wait())
        left = max(0.0, record.until - self._site.clock())
        try:
            await asyncio.wait([program, cut_short], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (program, cut_short):
                task.cancel()
            await asyncio.gather(program, cut_short, return_exceptions=True)
            self._cut_short.pop(record.name, None)

    def cut_short(self, name: str) -> None:
        """It is not to be waited for any more."""
        self._cut_short[name].set()

    async def _run(self, record: InsertRecord) -> None:
        try:
            await self._forget_told(record.name)
            await ask(await self._runs.reach(record.name), self._find_program(record))
        except WeftError as err:
            log.warning("insert %s does not drain: %s", record.name, err)

    async def _forget_told(self, name: str) -> None:
        """It does not run by what it was told any more: whoever inserts it again tells it anew."""
        machine = self._site.shelves.machines.get(name)
        await self._site.shelves.machines.save(machine.with_(told=None))

    def _find_program(self, record: InsertRecord) -> tuple[str, ...]:
        machine = self._site.shelves.machines.find(record.name)
        image = self._site.images.find(machine.spec.image) if machine else None
        return image.drain if image else ()
