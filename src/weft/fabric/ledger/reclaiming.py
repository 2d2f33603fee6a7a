"""Memory that machines were lent comes back when the host is short of it, and goes to them again when it is not."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from weft.fabric.events import EventLog
from weft.fabric.ledger.entries import HOST, find_before
from weft.fabric.ledger.host_ledger import HostLedger, Key
from weft.fabric.ledger.looking import Looking
from weft.fabric.rooms import Rooms
from weft.model.elastic import Resource, ScaleState
from weft.model.errors import WeftError
from weft.plan.ledger.accounts import Ledger
from weft.plan.ledger.reclaiming import Change, give_back, reclaim
from weft.plan.ledger.tension import Tension, judge

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks at the host."""
PATIENCE = 10.0
"""Seconds for a machine to give memory back; then whoever waits for it is told what there is."""
OFFENDED = 30.0
"""Seconds in which a machine is not asked again that has said no."""


class Reclaiming:
    """Asks machines of all rooms to give back, and gives them back. `clock` goes on by itself, in seconds."""

    def __init__(
        self, rooms: Rooms, ledger: HostLedger, looking: Looking, events: EventLog, clock: Callable[[], float]
    ) -> None:
        self._rooms = rooms
        self._ledger = ledger
        self._looking = looking
        self._events = events
        self._clock = clock
        self._refused: dict[Key, float] = {}
        self._collecting = asyncio.Lock()
        self.tension = Tension()

    async def watch(
        self,
        find_stalled: Callable[[], float | None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look at the host again and again. `find_stalled`: percent of the time in which something waits for memory."""
        while True:
            await sleep(EVERY)
            self._looking.glance(elastic=True)
            await self.look(find_stalled())

    async def look(self, stalled: float | None) -> None:
        """Once: what is to be done now, is done."""
        ledger = self._ledger.read()
        verdict = judge(self.tension, ledger.host, stalled, self._clock())
        if verdict.tension.tight is not self.tension.tight:
            self._tell(verdict.tension.tight, ledger.host.available)
        self.tension = verdict.tension
        if self._collecting.locked():  # that may be enough
            return
        if verdict.shortage or ledger.excess:
            await self.collect(verdict.shortage)
        elif verdict.plenty:
            changes = give_back(ledger, verdict.plenty)
            await asyncio.gather(*(self._change(change) for change in changes))

    async def collect(self, shortage: int) -> None:
        """Have machines give back so many bytes, and in any case what was granted beyond what there is, or as many as
        they can, and wait for it. One at a time: who comes next may find that nothing is granted beyond any more.
        """
        async with self._collecting:
            await self._looking.ask(elastic=True)
            now = self._clock()
            self._refused = {key: until for key, until in self._refused.items() if until > now}
            ledger = self._without_refused(self._ledger.read())
            changes = reclaim(ledger, max(shortage, ledger.excess))
            await asyncio.gather(*(self._change(change) for change in changes))

    async def _change(self, change: Change) -> None:
        """A machine that cannot, or has just ended, keeps what it has."""
        try:
            room = self._rooms.get(change.room)
            machine = room.site.shelves.machines.get(change.name)
            if change.gives > 0 and machine.elastic is not None:
                elastic = machine.elastic.with_(gave_from=max(change.before, find_before(machine)))
                await room.site.shelves.machines.save(machine.with_(elastic=elastic))
            async with asyncio.timeout(PATIENCE):  # what is on its way for it may wait for us
                why = "the host is short of memory" if change.gives > 0 else "the host has memory enough again"
                await room.scaling.scale(change.name, Resource.MEMORY, change.after, HOST, why)
                request = await room.scaling.settled(change.name, Resource.MEMORY)
            if request.state is ScaleState.APPLIED:
                return
        except TimeoutError:
            log.info("memory of machine %s: still on its way after %g s", change.name, PATIENCE)
        except WeftError as err:
            log.info("memory of machine %s: %s", change.name, err.message)
        self._refused[change.room, change.name] = self._clock() + OFFENDED

    def _without_refused(self, ledger: Ledger) -> Ledger:
        machines = (replace(one, used=None) if one.key in self._refused else one for one in ledger.machines)
        return replace(ledger, machines=tuple(machines))

    def _tell(self, tight: bool, available: int) -> None:
        state = "tight" if tight else "calm"
        words = "is short of memory" if tight else "has memory enough again"
        self._events.publish(f"host.{state}", "host", f"the host {words}: {available >> 20} MiB are available")
