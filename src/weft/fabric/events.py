"""What happened: a short memory of events, and everybody who listens."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

log = logging.getLogger(__name__)

KEPT = 2000
SHARE = 200
"""Of these so many are of one subject, where others want the room: what a machine tells drives out its own."""

KINDS = {
    "room.created": "A room was made.",
    "room.uplink": "Its machines could reach nobody outside for a moment: the uplink had ended, and comes back.",
    "room.removed": "A room and all it had is gone.",
    "machine.created": "A machine was made; it does not run yet.",
    "machine.changed": "Its spec was changed. `data.parts`: what of it.",
    "machine.forked": "Copies of it were made, that are ready now.",
    "machine.ready": "Its agent answers for the first time since it was started.",
    "machine.entry": "Its entry point has ended. `data.code`: the status, 128 + signal if it was killed.",
    "machine.healthy": "Its health check has passed: for the first time, or again.",
    "machine.unhealthy": "Its health check has failed as often in a row as is allowed. `data.output`: what it printed.",
    "machine.again": "It ended, and its restart policy will start it again. `data.after`: in so many seconds.",
    "machine.ports": "Its published ports were closed for a moment: the process that has them was ended by somebody.",
    "machine.root": "Its root was not served for a moment: somebody ended the server. It has to attach anew.",
    "machine.silent": "An adopted machine runs, but its agent does not answer.",
    "machine.unfrozen": "It was captured while its programs ran, since its init did not stop them before.",
    "machine.cut": "It has lost a folder of the host, whose server died; who reads there waits until it starts anew.",
    "machine.scale-applied": "It has the size that was asked for. `data.by`: who asked.",
    "machine.scale-refused": "It does not get the size that was asked for: the guest, the host or a rule forbids it.",
    "machine.scale-failed": "It did not come to the size that was asked for in time. The text says how far.",
    "machine.took-memory": "Its kernel took memory back from the balloon, to kill no program. The text says how much.",
    "machine.took-cpus": "It uses more processors than it was granted.",
    "machine.ended": "It does not run any more, or could not be started. The text says why.",
    "machine.suspended": "It is on disk, and does not run until it is resumed.",
    "machine.resumed": "It goes on from where it was suspended.",
    "machine.restored": "It goes on from a snapshot. `data.snapshot`: which.",
    "machine.removed": "A machine and all it had is gone.",
    "snapshot.created": "A snapshot was taken, or imported.",
    "snapshot.removed": "A snapshot is gone.",
    "machine.told": "A program in it tells something. `data.what`: a word for it, such as `alert`; `data.said`.",
    "port.spoofed": "Frames with addresses not its own came from a port: dropped. `data.nic`; `data.forged`: how many.",
    "network.created": "A network was made.",
    "network.changed": "It has an uplink from now on, or has none any more.",
    "network.names": "Names were not answered on it for a moment: its name server had ended, and comes back.",
    "network.boot": "What its machines boot from was not served for a moment: a server had ended, and comes back.",
    "network.removed": "A network is gone.",
    "pool.created": "A pool was made.",
    "pool.changed": "A pool is to have more copies, fewer, or others.",
    "pool.removed": "A pool is gone, and its copies end.",
    "volume.created": "A volume was made.",
    "volume.removed": "A volume and all that was on it is gone.",
    "insert.active": "Frames go through an insert, or copies come to it: for the first time, or again.",
    "insert.bypassed": "It died or hangs and its policy is `open`: frames go past it.",
    "insert.blocked": "It died or hangs and its policy is `closed`: nothing passes.",
    "insert.expired": "Its time is up; `insert.ejected` follows.",
    "host.tight": "The host is short of memory: machines are asked to give back what they were lent.",
    "host.calm": "It has memory enough again: who gave gets back.",
    "adoption.failed": "After a start of the daemon something of a machine or insert could not be repaired.",
    "template.created": "A template was made, by itself or because somebody wanted it.",
    "template.failed": "A template could not be made, or no machine can go on from it: thrown away. The text says why.",
    "image.added": "An image was pulled or imported, or got another name.",
    "image.removed": "An image is gone.",
    "settings.saved": "An appliance's settings have a new revision, `data.revision`.",
    "settings.fallback": "An appliance does not run with what is saved, but with an earlier revision or the defaults.",
    "settings.confirmed": "What was on trial of an appliance's settings stays.",
    "settings.undone": "What was on trial of an appliance's settings was taken back, in time or by somebody.",
    "settings.reset": "The floppy of an appliance was emptied: factory state, from its next start on.",
    "insert.draining": "It is to be ejected, lets new flows pass as they are, and ends those that it translates.",
    "insert.ejected": "Frames go past it for good. Its machine drains and goes, or stays parked.",
}
"""Every kind of event and what it tells. Kinds are part of the API, as the codes of errors are."""


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is like `machine.ready`; `subject` the name of what it happened to; `time` seconds since the epoch.
    `room`: where; None for what belongs to all, such as images.
    """

    id: int
    time: float
    kind: str
    subject: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    room: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted: between two times, of one of these kinds (`machine` is all of them), about one of these
    machines or whatever else has the name, in this room or in none. What is empty or None leaves all."""

    since: float | None = None
    until: float | None = None
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    room: str | None = None

    def takes(self, event: Event) -> bool:
        return (
            (self.since is None or event.time >= self.since)
            and (self.until is None or event.time <= self.until)
            and (not self.kinds or any(event.kind == kind or event.kind.startswith(f"{kind}.") for kind in self.kinds))
            and (not self.subjects or event.subject in self.subjects)
            and (self.room is None or event.room is None or event.room == self.room)
        )


class EventLog:
    """Keeps the last `KEPT` events, of one subject the last `SHARE` once it is full. Ids start at the daemon's start
    time in ms, so they grow across restarts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = int(clock() * 1000)
        self._kept: deque[Event] = deque()
        self._counts: Counter[tuple[str | None, str]] = Counter()
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def publish(self, kind: str, subject: str, text: str, *, room: str | None = None, **data: Any) -> None:
        """Tell everybody."""
        self.add(kind, subject, text, data, room)

    def add(self, kind: str, subject: str, text: str, data: dict[str, Any], room: str | None) -> None:
        """What `publish` does, for those who publish for others."""
        event = Event(self._next, self._clock(), kind, subject, text, data, room)
        self._next += 1
        self._keep(event)
        log.info("%s %s: %s", kind, f"{room}:{subject}" if room else subject, text)
        for queue in self._listeners:
            queue.put_nowait(event)

    def _keep(self, event: Event) -> None:
        """When it is full the oldest goes of a subject that has more than its share, or else the oldest of all."""
        self._kept.append(event)
        self._counts[_owner(event)] += 1
        if len(self._kept) > KEPT:
            too_many = {owner for owner, count in self._counts.items() if count > SHARE}
            place = next((at for at, old in enumerate(self._kept) if _owner(old) in too_many), 0)
            gone = _owner(self._kept[place])
            del self._kept[place]
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]

    def since(self, last: int) -> list[Event]:
        """The kept events after id `last`."""
        return [event for event in self._kept if event.id > last]

    async def follow(self, last: int | None = None, *, seconds: float | None = None) -> AsyncIterator[Event]:
        """Events after `last` (None: from now on), then all that come. Ends with `close`, or after `seconds`."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._listeners.add(queue)
        try:
            for event in self.since(last) if last is not None else []:
                yield event
            while (next_event := await _get_before(queue, deadline)) is not None:
                yield next_event
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End everybody's `follow`."""
        for queue in self._listeners:
            queue.put_nowait(None)


class RoomEvents:
    """The log as one room has it."""

    def __init__(self, log: EventLog, room: str) -> None:
        self._log = log
        self._room = room

    def publish(self, kind: str, subject: str, text: str, **data: Any) -> None:
        """Tell everybody that something happened in the room."""
        self._log.add(kind, subject, text, data, self._room)

    def since(self, last: int) -> list[Event]:
        """The kept events of the room after id `last`."""
        return [event for event in self._log.since(last) if event.room == self._room]


def _owner(event: Event) -> tuple[str | None, str]:
    return event.room, event.subject


async def _get_before(queue: "asyncio.Queue[Event | None]", deadline: float | None) -> Event | None:
    try:
        async with asyncio.timeout_at(deadline):
            return await queue.get()
    except TimeoutError:
        return None
