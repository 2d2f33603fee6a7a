"""Programs in a machine: a directory for each, made by opening `clone`, as Inferno's cmd(3) has them.

ctl     run PROGRAM [ARGUMENT...], and before it: env KEY=VALUE..., dir PATH, user NAME; then: eof, signal NAME
data    its input and its output
stderr  its errors
status  what has become of it
wait    the same, once it has ended
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from weft.client.session import STDIN, STDOUT, ExitStatus
from weft.client.transport import quote_name
from weft.filetree.api import Api, Session, describe_error
from weft.filetree.commands import find
from weft.filetree.consoles import read_signal
from weft.filetree.files import opened, text
from weft.filetree.grammar import Grammar
from weft.filetree.nodes import READ, READ_WRITE, Entry, Make
from weft.filetree.pipes import Pipe
from weft.filetree.streams import OpenWaiting, awaited
from weft.filetree.tasks import end_task, refuse
from weft.filetree.words import join_words
from weft.model.errors import error_from_dict
from weft.ninep.tree import OpenFile
from weft.ninep.words import NinepError

LONGEST = 1 << 16
"""Characters of all variables together."""
COMMANDS = {
    grammar.word: grammar
    for grammar in (
        Grammar("run", "PROGRAM [ARGUMENTS...]", "Starts the program; it returns when it runs."),
        Grammar("env", "VARIABLES...", "Gives it variables, KEY=VALUE, before it runs."),
        Grammar("dir", "PATH", "The folder that it begins in."),
        Grammar("user", "NAME", "Whose program it is."),
        Grammar("eof", "", "Ends its input."),
        Grammar("signal", "SIGNAL", "Sends it a signal."),
    )
}
_PIECE = 1 << 15


class Program:
    """One program, before, while and after it runs."""

    def __init__(self, api: Api, machine: str) -> None:
        self.out, self.errors = Pipe(), Pipe()
        self.ended = asyncio.Event()
        self._api = api
        self._machine = machine
        self._request: dict[str, Any] = {"env": {}, "cwd": None, "user": None, "tty": None, "stdin": True}
        self._argv: list[str] = []
        self._session: Session | None = None
        self._started: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._outcome = ""
        self._task: asyncio.Task[None] | None = None

    def files(self) -> Mapping[str, Make]:
        """Those beside `ctl`."""

        async def show() -> str:
            return self.describe()

        async def wait() -> str:
            await self.ended.wait()
            return self.describe()

        return {
            "data": opened(READ_WRITE, lambda node, _mode: _opened(_OpenData(node, self))),
            "stderr": opened(READ, lambda node, _mode: _opened(_OpenPipe(node, self.errors))),
            "status": text(show),
            "wait": awaited(wait),
        }

    def describe(self) -> str:
        """`ready`, `running`, `ended STATUS` or `failed WHY`, and its words."""
        state = self._outcome or ("running" if self._task else "ready")
        return f"{state} {join_words(self._argv)}".rstrip() + "\n"

    async def run(self, words: list[str]) -> None:
        """A command of `ctl`. Raises NinepError."""
        given = find(COMMANDS, words[0]).read(words[1:])
        match words[0]:
            case "run":
                await self._start([given["program"], *given["arguments"]])
            case "env":
                self._add_env(given["variables"])
            case "dir":
                self._request["cwd"] = given["path"]
            case "user":
                self._request["user"] = given["name"]
            case "eof":
                await (await self.session()).send(json.dumps({"eof": True}))
            case _:
                await (await self.session()).send(json.dumps({"signal": read_signal(given["signal"])}))

    def _add_env(self, pairs: Sequence[str]) -> None:
        env: dict[str, str] = self._request["env"] | dict(_split(pair) for pair in pairs)
        if sum(len(key) + len(value) for key, value in env.items()) > LONGEST:
            raise NinepError(f"no-room: variables have at most {LONGEST} characters")
        self._request["env"] = env

    async def session(self) -> Session:
        """What to write to, once it runs."""
        if self._task is None:
            raise NinepError("wrong-state: no program was started; write to ctl: run PROGRAM")
        return await asyncio.shield(self._started)

    async def write(self, data: bytes) -> int:
        """Its input."""
        session = await self.session()
        for start in range(0, len(data), _PIECE):
            await session.send(bytes([STDIN]) + data[start : start + _PIECE])
        return len(data)

    async def end(self) -> None:
        """Ends it if it runs."""
        if self._task is not None:
            await end_task(self._task)

    async def _start(self, argv: list[str]) -> None:
        if self._task is not None:
            raise NinepError("wrong-state: a program was started already; open another clone")
        self._argv = argv
        self._task = asyncio.create_task(self._follow(), name=f"program-{self._machine}")
        await self.session()

    async def _follow(self) -> None:
        try:
            async with self._api.open_session(f"/v1/machines/{quote_name(self._machine)}/exec") as session:
                await session.send(json.dumps(self._request | {"argv": self._argv}))
                while not self._outcome and (message := await session.recv()) is not None:
                    await self._take(message, session)
            self._outcome = self._outcome or "failed 'the machine or the daemon ended before the program did'"
        except NinepError as err:
            self._outcome = join_words(["failed", err.text])
            refuse(self._started, err)
        finally:
            self.ended.set()
            await self.out.close()
            await self.errors.close()

    async def _take(self, message: str | bytes, session: Session) -> None:
        if isinstance(message, bytes):
            if message:
                await (self.out if message[0] == STDOUT else self.errors).put(message[1:])
            return
        note: Mapping[str, Any] = json.loads(message)
        if "error" in note:
            raise NinepError(describe_error(error_from_dict(note["error"])))
        if "started" in note and not self._started.done():
            self._started.set_result(session)
        if "exit" in note:
            status = ExitStatus(note["exit"].get("code"), note["exit"].get("signal"))
            self._outcome = f"ended {status.shell_status}"


async def _opened(file: OpenFile) -> OpenFile:
    return file


class _OpenPipe(OpenWaiting):
    def __init__(self, node: Entry, pipe: Pipe) -> None:
        super().__init__(node)
        self._pipe = pipe

    async def take(self, count: int) -> bytes:
        return await self._pipe.take(count)


class _OpenData(_OpenPipe):
    def __init__(self, node: Entry, program: Program) -> None:
        super().__init__(node, program.out)
        self._program = program

    async def write(self, offset: int, data: bytes) -> int:
        return await self._program.write(data)


def _split(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise NinepError(f"invalid: {pair!r} is not KEY=VALUE")
    return key, value
