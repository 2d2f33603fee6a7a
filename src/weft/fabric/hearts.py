"""Watching inline appliances: heartbeat frames through them, their process's state, its end."""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from functools import partial

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.namespace import Namespace
from weft.host.packets import HeartbeatSocket, open_heartbeat
from weft.host.pids import ExitWatch, ProcessId, watch_exit
from weft.plan.heart import HeartPolicy, Pulse, Verdict, judge

EMULATED_TIMEOUT = 1.0
"""Under emulation a guest may not run for some hundred ms on a busy host; a stopped process is seen at once anyway."""
NATIVE_TIMEOUT = 0.2

Listener = Callable[[str, Verdict], Awaitable[None]]


class Heart:
    """The heartbeat of one appliance. `verdict` is the last one; `alive` is set while it is ALIVE.

    While `is_used` says that it is in front of nothing it beats slowly, and lets the guest sleep.
    """

    def __init__(
        self,
        machine: MachineRecord,
        process: ProcessId,
        policy: HeartPolicy,
        tell: Listener,
        is_used: Callable[[], bool],
    ) -> None:
        self.name = machine.name
        self._is_used = is_used
        self._roused = asyncio.Event()
        sides = machine.sides(inline=True)
        self.links = (sides.network_side, sides.machine_side)
        # Nobody can guess it: machines on both sides could hide a hang by sending beats of their own through.
        self._identity = secrets.randbits(32)
        self.verdict = Verdict.UNKNOWN
        self.alive = asyncio.Event()
        self._process = process
        self._exit: ExitWatch | None = None
        self._policy = policy
        self._tell = tell
        self._pulse = Pulse()
        self._clock = asyncio.get_running_loop().time

    def follow(self, process: ProcessId, on_exit: Callable[["Heart"], None]) -> None:
        """Its process is this one, whose end counts from now on, and no other's."""
        self.let_go()
        self._process, self._exit = process, watch_exit(process)
        watch = self._exit
        watch.on_exit(lambda _: on_exit(self) if self._exit is watch else None)

    def let_go(self) -> None:
        """Its process is not watched any more."""
        watch, self._exit = self._exit, None
        if watch is not None:
            watch.close()

    async def beat(self, namespace: Namespace) -> None:
        """Send heartbeats and judge, until cancelled."""
        with ExitStack() as stack:
            sockets = []
            for link, inward in zip(self.links, (False, True), strict=True):
                socket = await open_heartbeat(namespace, link, partial(self._heard, inward=inward))
                stack.callback(socket.close)
                sockets.append(socket)
            for sequence in itertools.count():
                self._send(sockets, sequence)
                await self._pause()
                await self._judge()

    def rouse(self) -> None:
        """It is used from now on: the next beat is sent at once."""
        self._roused.set()

    async def stop_trusting(self) -> None:
        """Its process has ended, or nothing holds its taps."""
        await self._conclude(Verdict.STOPPED)

    async def _pause(self) -> None:
        used = self._is_used()
        pause = self._policy.pause_after(self._pulse, used=used)
        if used:
            await asyncio.sleep(pause)
            return
        self._roused.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._roused.wait(), pause)

    def _send(self, sockets: list[HeartbeatSocket], sequence: int) -> None:
        self._pulse.sent(sequence, self._clock())
        for socket in sockets:
            socket.send(self._identity, sequence)

    def _heard(self, identity: int, sequence: int, *, inward: bool) -> None:
        if identity == self._identity:
            self._pulse.heard(sequence, self._clock(), self._policy, inward=inward)
            if self.verdict is Verdict.UNKNOWN and self._pulse.answered >= 0:
                self.alive.set()

    async def _judge(self) -> None:
        trusted = self.verdict in (Verdict.ALIVE, Verdict.UNKNOWN)
        stopped = self._process.is_stopped()
        await self._conclude(judge(self._pulse, self._clock(), self._policy, stopped=stopped, trusted=trusted))

    async def _conclude(self, verdict: Verdict) -> None:
        if verdict in (self.verdict, Verdict.UNKNOWN):
            return
        self.verdict = verdict
        if verdict is Verdict.ALIVE:
            self.alive.set()
        else:
            self.alive.clear()
        await self._tell(self.name, verdict)


class Hearts:
    """The hearts of all appliances that run."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._hearts: dict[str, tuple[Heart, asyncio.Task[None]]] = {}
        self.tell: Listener = _tell_nobody
        timeout = site.settings.heartbeat_timeout
        if timeout is None:
            timeout = EMULATED_TIMEOUT if site.facts.accel == "tcg" else NATIVE_TIMEOUT
        self._policy = HeartPolicy(site.settings.heartbeat_interval, timeout)

    async def on_ready(self, machine: MachineRecord) -> None:
        """An appliance runs: begin to watch it."""
        if machine.is_appliance and machine.qemu is not None and machine.name not in self._hearts:
            is_used = partial(self._is_used, machine.name)
            heart = Heart(machine, machine.qemu.id, self._policy, self._pass_on, is_used)
            task = self._site.tasks.start(self._watch(machine, heart), f"heart-{machine.name}")
            self._hearts[machine.name] = (heart, task)

    async def on_end(self, machine: MachineRecord) -> None:
        """It has ended."""
        if entry := self._hearts.pop(machine.name, None):
            heart, task = entry
            task.cancel()
            await heart.stop_trusting()

    async def on_moved(self, machine: MachineRecord) -> None:
        """It goes on in another process."""
        if machine.qemu is not None and (entry := self._hearts.get(machine.name)):
            entry[0].follow(machine.qemu.id, self._on_exit)

    async def wait_alive(self, name: str) -> None:
        """Until frames flow through an appliance in both directions."""
        heart, _ = self._hearts[name]
        heart.rouse()
        await heart.alive.wait()

    async def watch_carriers(self) -> None:
        """A tap without carrier has no QEMU behind it, whatever the reason: what is led there is lost."""
        async for event in self._site.links.watch_links():
            if event.carrier:
                continue
            for heart, _ in list(self._hearts.values()):
                if event.name in heart.links:
                    await heart.stop_trusting()

    async def _watch(self, machine: MachineRecord, heart: Heart) -> None:
        assert machine.qemu is not None
        # QEMU's own end is known some ms before that of the monitor around it.
        heart.follow(machine.qemu.id, self._on_exit)
        try:
            await heart.beat(self._site.namespace)
        finally:
            heart.let_go()

    def _is_used(self, name: str) -> bool:
        """An insert has the name of its appliance."""
        return self._site.shelves.inserts.find(name) is not None

    def _on_exit(self, heart: Heart) -> None:
        self._site.tasks.start(heart.stop_trusting(), f"dead-{heart.name}")

    async def _pass_on(self, name: str, verdict: Verdict) -> None:
        await self.tell(name, verdict)


async def _tell_nobody(name: str, verdict: Verdict) -> None:
    """Until somebody listens."""
