"""Files of machines, in and out, as tar archives: the agent's own programs do it, so an image needs none.

All of it is a stream: what nobody takes stops the program in the machine, and what the machine does not take stops
whoever sends.
"""

import asyncio
import logging
import posixpath
from collections.abc import AsyncIterable, AsyncIterator

from weft.fabric.runs import Runs
from weft.guest.files import parse_stat
from weft.guest.streams import ExecStream
from weft.model.errors import Invalid, NotFound, Unavailable, WrongState
from weft.model.files import FileKind, FileView

log = logging.getLogger(__name__)

_LONGEST_COMPLAINT = 4000


class Files:
    """Looks at files of machines, reads and writes them."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def stat(self, machine: str, path: str) -> FileView:
        """A file, not what it leads to. Raises NotFound."""
        place = _parse_path(path)
        async with await self._start(machine, "stat", place) as process:
            status, out, _ = await process.collect()
        if status.code:
            raise NotFound(f"machine {machine!r} has no {place}")
        return parse_stat(place, out)

    async def read(self, machine: str, path: str) -> AsyncIterator[bytes]:
        """A tar of a file or folder, under its own name; of what is in a folder when the path ends with `/.`."""
        folder, name = split_path(path)
        await self.stat(machine, posixpath.join(folder, name))
        async with await self._start(machine, "tar-create", folder, name) as process:
            complaints = bytearray()
            async for stream, data in process:
                if stream == "stdout":
                    yield data
                elif len(complaints) < _LONGEST_COMPLAINT:
                    complaints += data
            status = await process.wait()
        if status.shell_code:
            # The answer is under way: all that is left is to break it off, so that nobody takes it for whole.
            reason = _last_line(complaints) or f"tar-create ended with status {status.shell_code}"
            raise Unavailable(f"machine {machine!r}: {reason}")

    async def write(self, machine: str, path: str, pieces: AsyncIterable[bytes]) -> None:
        """Unpacks a tar into a folder. Raises NotFound, WrongState: it is none; Unavailable: why it could not."""
        view = await self.stat(machine, path)
        if view.real_kind is not FileKind.FOLDER:
            raise WrongState(f"{view.path} in machine {machine!r} is no folder")
        async with await self._start(machine, "tar-extract", view.path, stdin=True) as process:
            feeding = asyncio.create_task(_feed(process, pieces))
            try:
                status, _, complaints = await process.collect()
                if status.shell_code:
                    reason = _last_line(complaints) or f"tar-extract ended with status {status.shell_code}"
                    raise Unavailable(f"machine {machine!r}: {reason}")
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    async def _start(self, machine: str, *argv: str, stdin: bool = False) -> ExecStream:
        agent = await self._runs.reach(machine)
        return await agent.exec(argv, builtin=True, stdin=stdin)


async def _feed(process: ExecStream, pieces: AsyncIterable[bytes]) -> None:
    """Until the end of the pieces, or until they break off: an archive without its end is damaged, and the program ends
    with that, and with nothing half-made."""
    try:
        async for piece in pieces:
            await process.write(piece)
    except WrongState:
        return  # it has ended: its status says why
    finally:
        process.close_stdin()


def split_path(path: str) -> tuple[str, str]:
    """The folder that a path is in, and its name there; `.` for what is in a folder."""
    place = _parse_path(path)
    if place == "/" or path.endswith("/.") or path == ".":
        return place, "."
    folder, _, name = place.rpartition("/")
    return folder or "/", name


def _parse_path(path: str) -> str:
    """Absolute, without `.`; relative paths begin at the root, as container engines have it. Raises Invalid."""
    if "\0" in path:
        raise Invalid(f"path {path!r} contains a NUL character")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)


def _last_line(text: bytes | bytearray) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
