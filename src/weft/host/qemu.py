"""QEMU's monitor protocol, QMP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.host.sockets import short_path
from weft.model.errors import Internal, Unavailable

if TYPE_CHECKING:
    from qemu.qmp import EventListener, QMPClient

UNSAID = (1 << 64) - 1
"""What QEMU shows for what a balloon's driver has not said."""


_ADDED = "/machine/peripheral/"
"""Where QEMU has devices that were added under a name."""
_VIEWER = "viewer"
"""The name of a descriptor on its way to QEMU's screen."""


@dataclass(frozen=True, slots=True)
class ProcessorSlot:
    """A place for a processor: its type, where it is, and the path of the one that is there; None: it is free."""

    type: str
    place: dict[str, int]
    path: str | None = None

    @property
    def name(self) -> str:
        """Under which the one that is there was added; empty: it is from the start, or there is none."""
        return self.path.removeprefix(_ADDED) if self.path and self.path.startswith(_ADDED) else ""


class Qmp:
    """A connection to one QEMU's monitor. Made by `open_qmp`; every call is bounded by `timeout` seconds."""

    def __init__(self, client: "QMPClient", path: Path, timeout: float) -> None:
        self._client = client
        self._path = path
        self._timeout = timeout

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run one command and return its answer. Raises Unavailable (no answer), Internal (QEMU refuses)."""
        from qemu.qmp import ExecInterruptedError, ExecuteError, QMPError

        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.execute(command, arguments)
        except ExecuteError as err:
            raise Internal(f"QEMU refuses {command}: {err.error.error.desc}") from err
        except TimeoutError as err:
            raise Unavailable(f"QEMU does not answer {command} within {self._timeout:g} s") from err
        except (ExecInterruptedError, QMPError, OSError, EOFError) as err:
            raise Unavailable(f"QEMU at {self._path} is gone") from err

    async def status(self) -> str:
        """QEMU's run state: `running`, `paused`, `prelaunch`, `shutdown`, `internal-error`, ..."""
        return str((await self.execute("query-status"))["status"])

    async def quit(self) -> None:
        """End QEMU. That it is gone before it answered is fine."""
        with contextlib.suppress(Unavailable):
            await self.execute("quit")

    async def powerdown(self) -> None:
        """Press the power button; only machines with ACPI notice."""
        await self.execute("system_powerdown")

    async def balloon(self) -> int:
        """Bytes of its boot memory that the balloon leaves to the machine."""
        return int((await self.execute("query-balloon"))["actual"])

    async def set_balloon(self, size: int) -> None:
        """Have the balloon leave so many bytes of the boot memory; a guest with a driver does that bit by bit."""
        await self.execute("balloon", {"value": size})

    async def plugged_memory(self) -> int:
        """Bytes that the machine's virtio-mem device has plugged. Raises Internal when it has no such device."""
        for device in await self.execute("query-memory-devices"):
            if device["type"] == "virtio-mem":
                return int(device["data"]["size"])
        raise Internal("this QEMU has no virtio-mem device")

    async def request_memory(self, device: str, size: int) -> None:
        """Have the guest plug or unplug until it has so many bytes plugged; it does that bit by bit, if it can."""
        path = f"{_ADDED}{device}"
        await self.execute("qom-set", {"path": path, "property": "requested-size", "value": size})

    async def processors(self) -> list[ProcessorSlot]:
        """The places that processors of the machine can be in."""
        found = await self.execute("query-hotpluggable-cpus")
        return [ProcessorSlot(slot["type"], slot["props"], slot.get("qom-path")) for slot in found]

    async def add_processor(self, slot: ProcessorSlot, name: str) -> None:
        """Put one into a free place, under a name; its kernel has to be told by the guest's own means to use it."""
        await self.execute("device_add", {"driver": slot.type, "id": name, **slot.place})

    async def remove_processor(self, name: str) -> None:
        """Ask the guest for one that was added: when it lets go of it, its place is free."""
        await self.execute("device_del", {"id": name})

    async def find_processor_threads(self) -> list[int]:
        """The numbers of the threads that run its processors, as QEMU itself knows them."""
        return [int(processor["thread-id"]) for processor in await self.execute("query-cpus-fast")]

    async def read_balloon_stats(self, device: str, seconds: int) -> tuple[int | None, int | None]:
        """Bytes of memory that are free and available, as the guest's driver of this balloon said last; None: it did
        not. It is asked every so many seconds from now on.
        """
        path, interval = f"/machine/peripheral/{device}", "guest-stats-polling-interval"
        if await self.execute("qom-get", {"path": path, "property": interval}) != seconds:
            await self.execute("qom-set", {"path": path, "property": interval, "value": seconds})
        stats = (await self.execute("qom-get", {"path": path, "property": "guest-stats"}))["stats"]
        free, available = (int(stats.get(key, UNSAID)) for key in ("stat-free-memory", "stat-available-memory"))
        return (free if 0 <= free < UNSAID else None, available if 0 <= available < UNSAID else None)

    async def pause(self) -> None:
        """Halt the machine's processors."""
        await self.execute("stop")

    async def resume(self) -> None:
        """Let them go on."""
        await self.execute("cont")

    async def pass_descriptor(self, name: str, fd: int) -> None:
        """Give QEMU a descriptor under a name; the caller keeps its own. One of that name it had before goes."""
        self._send_descriptor(fd)
        await self.execute("getfd", {"fdname": name})

    async def add_descriptor(self, fd: int) -> int:
        """Give QEMU a descriptor as a file /dev/fdset/NUMBER; the number. The caller keeps its own."""
        self._send_descriptor(fd)
        return int((await self.execute("add-fd"))["fdset-id"])

    def _send_descriptor(self, fd: int) -> None:
        """With the next command."""
        try:
            self._client.send_fd_scm(fd)
        except (OSError, AssertionError) as err:  # the latter when its connection has ended
            raise Unavailable(f"QEMU at {self._path} is gone") from err

    async def add_viewer(self, fd: int) -> None:
        """Show the screen of a machine that has one to whoever is at the other end of this socket, by RFB.

        Nobody is asked for a password: who may have that end is for us to say.
        """
        await self.pass_descriptor(_VIEWER, fd)
        await self.execute("add_client", {"protocol": "vnc", "fdname": _VIEWER, "skipauth": True})

    async def open_tap(self, device: str, number: int) -> None:
        """Let a machine that is not made yet have a tap for one of its NICs, which QEMU has inherited as `number`."""
        await self.execute("netdev_add", {"type": "tap", "id": device, "fd": str(number)})

    async def make_machine(self) -> None:
        """Make the machine of a QEMU that was started with `-preconfig`."""
        await self.execute("x-exit-preconfig")

    async def events(self) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Name and data of each event from the first step of the iteration on, until QEMU goes."""
        from qemu.qmp import EventListener

        listener = EventListener()
        with self._client.listen(listener):
            while (message := await self._next_event(listener)) is not None:
                yield message["event"], message.get("data", {})

    async def wait_shutdown(self) -> str:
        """Until QEMU is about to end: its `ShutdownCause`, like `guest-reset`; empty: it is gone without a word."""
        async with contextlib.aclosing(self.events()) as events:
            async for name, data in events:
                if name == "SHUTDOWN":
                    return str(data["reason"])
        return ""

    async def close(self) -> None:
        """Hang up; QEMU goes on."""
        from qemu.qmp import QMPError

        with contextlib.suppress(QMPError, OSError, EOFError):  # what broke the connection was reported by a call
            await self._client.disconnect()

    async def _next_event(self, listener: "EventListener") -> dict[str, Any] | None:
        """A listener by itself would wait for ever once the connection is gone."""
        arrived = asyncio.ensure_future(listener.get())
        ended = asyncio.ensure_future(self._client.runstate_changed())
        try:
            await asyncio.wait([arrived, ended], return_when=asyncio.FIRST_COMPLETED)
            return dict(await arrived) if arrived.done() or not listener.empty() else None
        finally:
            arrived.cancel()
            ended.cancel()


async def open_qmp(path: Path, *, timeout: float = 10.0) -> Qmp:
    """Connect to a monitor. `timeout` in seconds bounds this and every later call. Raises Unavailable."""
    from qemu.qmp import ConnectError, QMPClient  # 50 ms of import that a command line should not pay

    client = QMPClient(path.parent.name)
    try:
        with short_path(path) as address:
            async with asyncio.timeout(timeout):
                await client.connect(address)
    except TimeoutError as err:
        raise Unavailable(f"QEMU at {path} does not answer within {timeout:g} s") from err
    except (ConnectError, OSError) as err:
        raise Unavailable(f"no QEMU at {path}") from err
    return Qmp(client, path, timeout)
