"""Starting the daemon of a home, for the first command that finds nobody answering."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weft.client.home import LOG_NAME, connect_socket
from weft.model.errors import Unavailable

START_TIMEOUT = 30.0
# A daemon that fails may have been overtaken by another one: look for that a little longer.
_FAILED_GRACE = 1.0
# One that finds its lock taken ends with status 0. Whoever holds it is about to answer, or is on its way out.
_OTHER_GRACE = 2.0
_LOG_TAIL = 15
_LOG_LIMIT = 4 << 20


def start_daemon(home: Path, *, argv: Sequence[str] | None = None, timeout: float = START_TIMEOUT) -> None:
    """Starts a daemon that outlives us, and waits until one answers on the home's socket.

    Starting several at once is harmless: the daemon takes a lock. `argv` is another program to serve the home. Raises
    Unavailable, with the end of the daemon's log.
    """
    argv = argv or [sys.executable, "-m", "weft.daemon", "--home", str(home)]
    deadline = time.monotonic() + timeout
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        while not _wait_answering(home, _spawn_daemon(home, argv), deadline):
            pass
    except OSError as err:
        raise Unavailable(
            f"the daemon cannot start in {home}: {err.strerror or err}", hint="choose another --home or WEFT_HOME"
        ) from err


def _spawn_daemon(home: Path, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    path = home / LOG_NAME
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_name(f"{LOG_NAME}.1"))
    with path.open("ab") as log:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)


def _wait_answering(home: Path, child: subprocess.Popen[bytes], deadline: float) -> bool:
    """True when somebody answers; False when the child found a daemon that then did not come to answer: start anew."""
    ended: float | None = None
    while not is_answering(home):
        now = time.monotonic()
        if ended is None and child.poll() is not None:
            ended = now
        if now >= deadline or (ended and child.returncode and now >= ended + _FAILED_GRACE):
            raise _not_started(home, child.returncode)
        if ended and now >= ended + _OTHER_GRACE:
            return False
        # There is no event for "somebody listens now"; 20 ms is short against the daemon's own start.
        time.sleep(0.02)
    # The daemon is meant to outlive us; without this, Popen warns about a child that still runs.
    child.returncode = child.returncode or 0
    return True


def examine_host(home: Path) -> list[dict[str, Any]]:
    """What the host has and lacks, looked at by a process of its own. Raises Unavailable when that fails."""
    argv = [sys.executable, "-m", "weft.daemon", "--home", str(home), "--examine"]
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=START_TIMEOUT)
    if done.returncode:
        raise Unavailable("the host cannot be examined", detail=done.stderr[-2000:])
    checks: list[dict[str, Any]] = json.loads(done.stdout)
    return checks


def is_answering(home: Path) -> bool:
    """Whether a daemon listens on this home's socket."""
    try:
        connect_socket(home, 1.0).close()
    except OSError:
        return False
    return True


def _not_started(home: Path, status: int | None) -> Unavailable:
    log = home / LOG_NAME
    why = f"ended with status {status}" if status else "does not answer in time"
    return Unavailable(f"the daemon of {home} {why}", hint=f"its log is {log}", detail=_read_tail(log))


def _read_tail(log: Path) -> str | None:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-_LOG_TAIL:]) or None
