"""Consoles of machines as files. The API lets one in at a time, so all who have a machine's files open share it."""

import asyncio
import json

from weft.client.transport import quote_name
from weft.filetree.api import Api, Session, translated
from weft.filetree.commands import find
from weft.filetree.files import File, write_commands
from weft.filetree.grammar import Grammar
from weft.filetree.nodes import READ_WRITE, WRITE, Entry, Make
from weft.filetree.pipes import Pipe
from weft.filetree.streams import OpenWaiting
from weft.filetree.tasks import end_task, refuse
from weft.model.signals import parse_signal, signal_number
from weft.ninep.tree import OpenFile
from weft.ninep.words import NinepError, OpenMode

CONTROLS = {
    command.word: command
    for command in (
        Grammar("rawon", "", "What is typed is not echoed any more."),
        Grammar("rawoff", "", "It is a terminal again, of 24 lines and 80 columns."),
        Grammar("size", "ROWS COLUMNS", "Says how large the terminal is."),
        Grammar("signal", "SIGNAL", "Sends a signal to what has the console."),
    )
}
"""What `consctl` takes."""
_TERMINAL = [24, 80]


class Console:
    """The console of one machine, open while anybody has it."""

    def __init__(self, api: Api, machine: str) -> None:
        self._api = api
        self._machine = machine
        self._readers: set[Pipe] = set()
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._session: asyncio.Future[Session] | None = None

    async def join(self, *, reads: bool) -> Pipe | None:
        """Open it, or take part; who reads gets all that comes from now on. Raises NinepError."""
        self._users += 1
        pipe = Pipe() if reads else None
        if pipe is not None:
            self._readers.add(pipe)
        if self._task is None or self._task.done():
            self._session = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._session), name=f"console-{self._machine}")
        try:
            await self.session()
        except BaseException:
            await self.leave(pipe)
            raise
        return pipe

    async def session(self) -> Session:
        """What to write to. Raises NinepError."""
        assert self._session is not None, "nobody has joined"
        return await asyncio.shield(self._session)

    async def leave(self, pipe: Pipe | None) -> None:
        """The last one closes it."""
        self._users -= 1
        self._readers.discard(pipe)
        if not self._users and self._task is not None:
            task, self._task = self._task, None  # who joins meanwhile opens it anew
            await end_task(task)

    async def _run(self, opened: "asyncio.Future[Session]") -> None:
        try:
            async with self._api.open_session(f"/v1/machines/{quote_name(self._machine)}/console") as session:
                opened.set_result(session)
                while (message := await session.recv()) is not None:
                    await self._spread(message)
        except NinepError as err:
            refuse(opened, err)
        for pipe in list(self._readers):
            await pipe.close()

    async def _spread(self, message: str | bytes) -> None:
        """One who does not read holds all up, and in the end the machine."""
        if isinstance(message, bytes):
            for pipe in list(self._readers):
                await pipe.put(message)


class Consoles:
    """Those of a room's machines."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: dict[str, Console] = {}

    def get(self, machine: str) -> Console:
        return self._open.setdefault(machine, Console(self._api, machine))


def console_file(consoles: Consoles, machine: str) -> Make:
    """`cons`: what the machine writes, and what is typed."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        console = consoles.get(machine)
        return _OpenConsole(node, console, await console.join(reads=mode.reads))

    return lambda parent, name: File(parent, name, READ_WRITE, opens)


def console_control(consoles: Consoles, machine: str) -> Make:
    """`consctl`: as Plan 9's, `rawon` ends the echo of what is typed; besides, the size and signals of a terminal."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        console = consoles.get(machine)
        await console.join(reads=False)
        return _OpenControl(node, console)

    return lambda parent, name: File(parent, name, WRITE, opens)


class _OpenConsole(OpenWaiting):
    def __init__(self, node: Entry, console: Console, pipe: Pipe | None) -> None:
        super().__init__(node)
        self._console = console
        self._pipe = pipe

    async def take(self, count: int) -> bytes:
        return await self._pipe.take(count) if self._pipe else b""

    async def write(self, offset: int, data: bytes) -> int:
        await (await self._console.session()).send(data)
        return len(data)

    async def close(self) -> None:
        await self._console.leave(self._pipe)


class _OpenControl(OpenFile):
    def __init__(self, node: Entry, console: Console) -> None:
        super().__init__(node)
        self._console = console

    async def write(self, offset: int, data: bytes) -> int:
        session = await self._console.session()
        return await write_commands(data, lambda words: session.send(json.dumps(read_control(words))))

    async def close(self) -> None:
        await self._console.leave(None)


def read_control(words: list[str]) -> dict[str, object]:
    """A command of `consctl` as the API has it. Raises NinepError."""
    given = find(CONTROLS, words[0]).read(words[1:])
    match words[0]:
        case "rawon":
            return {"echo": False}
        case "rawoff":
            return {"resize": _TERMINAL}
        case "size":
            return {"resize": [given["rows"], given["columns"]]}
        case _:
            return {"signal": read_signal(given["signal"])}


def read_signal(text: str) -> int:
    """The number of a signal. Raises NinepError."""
    with translated():
        return signal_number(parse_signal(text))
