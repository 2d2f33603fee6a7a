"""The one module that starts processes: argument lists, a clean environment, and a failure that says what failed.

Two kinds. `run` is for a program that answers and ends. `start_latched` is for one that outlives the daemon: it
waits at a latch until its pid is on record, so that a daemon killed in between leaves nothing unknown behind.
"""

import asyncio
import contextlib
import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weft.host.pids import ExitWatch, ProcessId, watch_child
from weft.model.errors import Internal, Unavailable

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for: ip, dnsmasq and the like are in sbin, which an ordinary user's PATH lacks."""

_LATCH = """\
while [ "$1" != -- ]; do echo 0 >"$1" || exit; shift; done
shift; read -r _ && exec "$@" </dev/null"""
"""It enters its control groups. Then one line on stdin lets the program go; end of file, which is the daemon's death,
ends it instead."""

_TAIL = 2000
_DEFAULTED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals a program must not find ignored: Python ignores the first two, a shell the others at times."""


class ProcessFailed(Internal):
    """A program ended with another status than was wanted. `detail` is the end of what it printed."""

    def __init__(self, argv: Sequence[str], status: int, output: str) -> None:
        ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        last = output.strip().splitlines()[-1:] or ["it printed nothing"]
        super().__init__(f"{Path(argv[0]).name} {ended}: {last[0]}", detail=output[-_TAIL:])
        self.argv = tuple(argv)
        self.status = status


class ProcessTimedOut(Unavailable):
    """A program took too long and was killed."""

    def __init__(self, argv: Sequence[str], seconds: float) -> None:
        super().__init__(f"{Path(argv[0]).name} did not end within {seconds:g} s")
        self.argv = tuple(argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program printed, and its status."""

    stdout: bytes
    stderr: bytes
    status: int = 0

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


@dataclass(slots=True)
class Latched:
    """A process that waits at the latch: put it on record, then `release` it."""

    process: ProcessId
    watch: ExitWatch
    _latch: int | None = field(repr=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def start_time(self) -> int:
        return self.process.start_time

    def release(self) -> None:
        """Let the program start; pid and start time stay the same. No effect when it is gone already."""
        if self._latch is not None:
            try:
                os.write(self._latch, b"\n")
            except BrokenPipeError:
                pass
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Let go of the latch: a program that was not released ends at once."""
        if self._latch is not None:
            os.close(self._latch)
            self._latch = None


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment programs get: nothing of the caller's, messages in plain English."""
    return {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "HOME": "/", **(extra or {})}


def find_program(name: str) -> str | None:
    """The full path of a program, or None."""
    return shutil.which(name, path=SEARCH_PATH)


def program(name: str) -> str:
    """The full path of a program. Raises Unavailable when the host does not have it."""
    path = find_program(name)
    if path is None:
        raise Unavailable(f"program {name} is not installed", hint="weft doctor names the package")
    return path


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    stdin: int | None = None,
    timeout: float | None = 60.0,
    on_line: Callable[[str], None] | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end. `env` comes on top of a clean environment, `timeout` is in seconds.

    It reads `input`, or else the descriptor `stdin`, or nothing. With `on_line`, each line of its standard output is
    also handed over as it comes. Raises ProcessFailed when it fails (unless `check` is off), ProcessTimedOut,
    Unavailable when it is not installed. A program whose caller is cancelled is killed.
    """
    child = await asyncio.create_subprocess_exec(
        program(argv[0]),
        *argv[1:],
        cwd=cwd,
        env=environment(env),
        stdin=_choose_stdin(input, stdin),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await _communicate(child, input, on_line)
    except TimeoutError as err:
        raise ProcessTimedOut(argv, timeout or 0.0) from err
    finally:
        await _end(child)
    status = child.returncode or 0
    if check and status:
        raise ProcessFailed(argv, status, (stderr or stdout).decode(errors="replace"))
    return Completed(stdout, stderr, status)


def start_latched(
    argv: Sequence[str],
    *,
    fds: Iterable[int] = (),
    doors: Iterable[Path] = (),
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Latched:
    """Start a program in a session of its own, held at the latch. It inherits `fds` under the same numbers.

    `doors` are those of the control groups it is to be in; a process that cannot enter ends, and says so on stderr.
    Needs a running loop, which reaps it. Raises Unavailable when it is not installed.
    """
    reader, writer = os.pipe()
    null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, reader, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, null if fd is None else fd, n) for n, fd in ((1, stdout), (2, stderr))]
    # Onto itself: posix_spawn then clears close-on-exec, in the child alone.
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in fds]
    command = [program("sh"), "-c", _LATCH, "latch", *map(str, doors), "--", program(argv[0]), *argv[1:]]
    try:
        pid = _spawn(command, env, actions)
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
        os.close(null)
    process = ProcessId.find(pid)
    if process is None:  # not even a zombie: somebody else reaps our children
        os.close(writer)
        raise Internal(f"process {pid} vanished at its start")
    return Latched(process, watch_child(process), writer)


def _spawn(argv: list[str], env: Mapping[str, str] | None, actions: list[tuple[int, int, int]]) -> int:
    _seal()
    return os.posix_spawn(
        argv[0],
        argv,
        environment(env),
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=_DEFAULTED,
    )


@functools.cache
def _seal() -> None:
    """Keep to ourselves, once, what was open before Python started: what Python opens is not inherited anyway."""
    numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    for number in numbers:
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            if number > 2:
                os.set_inheritable(number, False)


def _choose_stdin(input: bytes | None, stdin: int | None) -> int:
    if input is not None:
        return asyncio.subprocess.PIPE
    return asyncio.subprocess.DEVNULL if stdin is None else stdin


async def _communicate(
    child: asyncio.subprocess.Process, input: bytes | None, on_line: Callable[[str], None] | None
) -> tuple[bytes, bytes]:
    if on_line is None:
        return await child.communicate(input)
    assert child.stdout and child.stderr
    stderr = asyncio.ensure_future(child.stderr.read())
    lines: list[bytes] = []
    try:
        async for line in child.stdout:
            lines.append(line)
            on_line(line.decode(errors="replace").rstrip("\n"))
        await child.wait()
        return b"".join(lines), await stderr
    finally:
        stderr.cancel()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill what still runs with everything it started, and wait for it."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.shield(child.wait())
