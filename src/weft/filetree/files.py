"""Files of a made-up tree: texts, commands, and files of which opening makes something."""

import codecs
from collections.abc import Awaitable, Callable

from weft.filetree.nodes import READ, READ_WRITE, WRITE, Entry, Make
from weft.filetree.words import split_commands
from weft.ninep.tree import OpenFile
from weft.ninep.words import NinepError, OpenMode

LONGEST = 1 << 20
"""Bytes of a text that somebody writes."""
Show = Callable[[], Awaitable[str]]
"""Makes the content of a text; bytes that are no UTF-8 are in it as Python's surrogateescape has them."""
Run = Callable[[list[str]], Awaitable[object]]
"""Carries a command out, given by its words. Raises NinepError."""
Answer = Callable[[list[str]], Awaitable[str]]
"""What comes of a command, for who has given it alone. Raises NinepError."""
Save = Callable[[str], Awaitable[object]]
"""Takes what was written to a text."""


class File(Entry):
    """A file that is opened by `opens`, if its mode allows that."""

    def __init__(
        self, parent: Entry, name: str, mode: int, opens: Callable[[Entry, OpenMode], Awaitable[OpenFile]]
    ) -> None:
        super().__init__(parent, name, mode)
        self._opens = opens

    async def open(self, mode: OpenMode) -> OpenFile:
        self.refuse(mode)
        return await self._opens(self, mode)


class OpenText(OpenFile):
    """A text as it was when it was opened: what is read at any offset belongs together."""

    def __init__(self, node: Entry, content: bytes) -> None:
        super().__init__(node)
        self._content = content

    async def read(self, offset: int, count: int) -> bytes:
        return self._content[offset : offset + count]


class OpenCommands(OpenText):
    """A file that takes commands. Reading it gives `content`."""

    def __init__(self, node: Entry, content: bytes, run: Run) -> None:
        super().__init__(node, content)
        self._run = run

    async def write(self, offset: int, data: bytes) -> int:
        return await write_commands(data, self._run)


class OpenDraft(OpenText):
    """A text that is written anew: it is saved as a whole with each write that begins it, or goes on with it.

    A program that writes in pieces has them joined, so each piece is saved with all before it.
    """

    def __init__(self, node: Entry, content: bytes, save: Save) -> None:
        super().__init__(node, content)
        self._save = save
        self._written = b""

    async def write(self, offset: int, data: bytes) -> int:
        if offset + len(data) > LONGEST:
            raise NinepError(f"no-room: a text has at most {LONGEST} bytes")
        self._written = self._written[:offset].ljust(offset, b"\n") + data
        await self._save(decode(self._written, whole=False))
        return len(data)


class OpenQuestion(OpenFile):
    """A file that answers: a command is written, and what is read then is what came of it, once."""

    def __init__(self, node: Entry, answer: Answer) -> None:
        super().__init__(node)
        self._ask = answer
        self._answer = b""

    async def write(self, offset: int, data: bytes) -> int:
        for words in split_commands(decode(data)):
            self._answer = _encode(await self._ask(words))
        return len(data)

    async def read(self, offset: int, count: int) -> bytes:
        piece, self._answer = self._answer[:count], self._answer[count:]
        return piece


def says(content: str) -> Show:
    """Always the same line."""

    async def show() -> str:
        return f"{content}\n"

    return show


def text(show: Show, save: Save | None = None) -> Make:
    """A text that is made when it is opened for reading; with `save` it can be written, too."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        content = _encode(await show()) if mode.reads else b""
        return OpenText(node, content) if save is None else OpenDraft(node, content, save)

    return lambda parent, name: File(parent, name, READ_WRITE if save else READ, opens)


def commands(run: Run, show: Show | None = None) -> Make:
    """A file for commands. Without `show` it cannot be read."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        content = _encode(await show()) if show and mode.reads else b""
        return OpenCommands(node, content, run)

    return lambda parent, name: File(parent, name, READ_WRITE if show else WRITE, opens)


def question(answer: Answer) -> Make:
    """A file that is opened for both: what is written is asked, what is read is the answer."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        return OpenQuestion(node, answer)

    return lambda parent, name: File(parent, name, READ_WRITE, opens)


def opened(mode: int, opens: Callable[[Entry, OpenMode], Awaitable[OpenFile]]) -> Make:
    """A file of which opening does something of its own."""
    return lambda parent, name: File(parent, name, mode, opens)


async def write_commands(data: bytes, run: Run) -> int:
    """Runs a command for each line, up to the first that fails."""
    for words in split_commands(decode(data)):
        await run(words)
    return len(data)


def decode(data: bytes, *, whole: bool = True) -> str:
    """What was written, as text; what is not `whole` may end within a character. Raises NinepError."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError as err:
        raise NinepError("invalid: what is written has to be UTF-8") from err


def _encode(content: str) -> bytes:
    return content.encode(errors="surrogateescape")
