"""Payloads of the agent's protocol: one dataclass or function pair per kind. No input or output.

See docs/agent-protocol.md. Numbers are little-endian, strings are UTF-8 and end with NUL. `parse_*` raise Invalid for
what the protocol does not allow; nothing a guest sends makes them raise anything else.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from weft.guest.frames import MAX_PAYLOAD, Kind
from weft.model.errors import Invalid

MAJOR = 1
MINOR = 3
NONCE_BYTES = 16
MAX_COMMIT = 64 * 1024
"""Bytes in the text of one commit."""
WINDOW = 64 * 1024
"""Bytes a peer may send on a stream before it is given more."""
MAX_STREAMS = 128
MAX_STRINGS = 1024
"""Arguments in an EXEC, and as many environment variables."""

_HELLO = struct.Struct(f"<{NONCE_BYTES}sHHQ")
_BECOMES = 1
_READY_PREFIX = struct.Struct(f"<{NONCE_BYTES}sHH")
_READY = struct.Struct("<QQQII")
_ENTRY = struct.Struct("<BBiII")
_EXEC = struct.Struct("<HHHHH")
_EXIT = struct.Struct("<Bi")
_U32 = struct.Struct("<I")

_TTY, _STDIN, _BUILTIN, _DETACHED = 1, 2, 4, 8
_FLAGS = _TTY | _STDIN | _BUILTIN | _DETACHED
EVENT_KIND = r"[a-z][a-z0-9-]{0,30}"
"""What the words of events look like."""
NO_TERMINAL = 0xFFFF
"""Rows of a console that nobody looks at."""

EntryState = Literal["none", "running", "exited", "waiting"]
_ENTRY_STATES: tuple[EntryState, ...] = ("none", "running", "exited", "waiting")

ShutdownKind = Literal["poweroff", "reboot"]
_SHUTDOWN_KINDS: dict[ShutdownKind, int] = {"poweroff": 1, "reboot": 2}


class _EndedBy(IntEnum):
    NOTHING = 0
    CODE = 1
    SIGNAL = 2


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: exactly one of the two is set."""

    code: int | None = None
    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """The number a shell would give: 128 + n for signal n."""
        return 128 + (self.signal or 0) if self.code is None else self.code


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """The image's entry point. `last` is how it ended last, when it has ended; `waiting`: it will be started again.

    `reason` says why it could not be started, when that is why it ended; `oom_kills` is how many processes the
    machine's kernel has killed so far for want of memory.
    """

    state: EntryState
    last: ExitStatus | None = None
    pid: int | None = None
    restarts: int = 0
    reason: str | None = None
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class Hello:
    """`becomes`: a BECOME follows, and READY is to wait for its end."""

    nonce: bytes
    major: int
    minor: int
    wall_ns: int
    becomes: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The agent's answer to HELLO. Times in nanoseconds: the first two since the guest's boot, `wall_ns` since 1970.

    From another major version only `nonce`, `major` and `minor` mean anything. `held`: the machine is not yet whom it
    is to be, and waits for a BECOME.
    """

    nonce: bytes
    major: int
    minor: int
    started_ns: int = 0
    ready_ns: int = 0
    wall_ns: int = 0
    max_streams: int = 0
    window: int = 0
    entry: EntryStatus = EntryStatus("none")
    boot_id: str = ""
    release: str = ""
    hostname: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """`tty`: (rows, columns) of the terminal, or None for pipes. `user`: USER[:GROUP]; None: root. `builtin`: the
    program is one of those inside the machine's init. `detached`: no input or output, and it lives on when the
    connection ends."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    user: str | None = None
    tty: tuple[int, int] | None = None
    stdin: bool = False
    builtin: bool = False
    detached: bool = False


@dataclass(frozen=True, slots=True)
class AgentError:
    """An ERROR frame: a Linux errno and a text."""

    code: int
    text: str


def _malformed(kind: Kind) -> Invalid:
    return Invalid(f"agent protocol: malformed {kind.name}")


def _unpack(kind: Kind, layout: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) != layout.size:
        raise _malformed(kind)
    return layout.unpack(payload)


def _parse_strings(kind: Kind, data: bytes, count: int) -> tuple[list[str], bytes]:
    """`count` strings, and what follows them."""
    *strings, rest = data.split(b"\0", count)
    if len(strings) != count:
        raise _malformed(kind)
    return [text.decode("utf-8", "surrogateescape") for text in strings], rest


def _dump_strings(*strings: str) -> bytes:
    for text in strings:
        if "\0" in text:
            raise Invalid(f"{text!r} contains a NUL character")
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in strings)


def dump_hello(hello: Hello) -> bytes:
    flags = _BECOMES if hello.becomes else 0
    return _HELLO.pack(hello.nonce, hello.major, hello.minor, hello.wall_ns) + bytes([flags])


def parse_hello(payload: bytes) -> Hello:
    """Bytes after those known here are a later minor version's."""
    if len(payload) < _HELLO.size:
        raise _malformed(Kind.HELLO)
    flags = payload[_HELLO.size] if len(payload) > _HELLO.size else 0
    nonce, major, minor, wall_ns = _HELLO.unpack_from(payload)
    return Hello(nonce, major, minor, wall_ns, becomes=bool(flags & _BECOMES))


def _dump_how(status: ExitStatus | None) -> tuple[int, int]:
    if status is None:
        return _EndedBy.NOTHING, 0
    if status.code is None:
        return _EndedBy.SIGNAL, status.signal or 0
    return _EndedBy.CODE, status.code


def _parse_how(kind: Kind, ended_by: int, value: int) -> ExitStatus | None:
    if ended_by == _EndedBy.CODE:
        return ExitStatus(code=value)
    if ended_by == _EndedBy.SIGNAL:
        return ExitStatus(signal=value)
    if ended_by == _EndedBy.NOTHING:
        return None
    raise _malformed(kind)


def dump_entry(entry: EntryStatus) -> bytes:
    state = _ENTRY_STATES.index(entry.state)
    return _ENTRY.pack(state, *_dump_how(entry.last), entry.pid or 0, entry.restarts)


def parse_entry(payload: bytes, kind: Kind = Kind.ENTRY) -> EntryStatus:
    state, ended_by, value, pid, restarts = _unpack(kind, _ENTRY, payload)
    if state >= len(_ENTRY_STATES):
        raise _malformed(kind)
    return EntryStatus(_ENTRY_STATES[state], _parse_how(kind, ended_by, value), pid or None, restarts)


def dump_ready(ready: Ready) -> bytes:
    numbers = (ready.started_ns, ready.ready_ns, ready.wall_ns, ready.max_streams, ready.window)
    return (
        _READY_PREFIX.pack(ready.nonce, ready.major, ready.minor)
        + _READY.pack(*numbers)
        + dump_entry(ready.entry)
        + _dump_strings(ready.boot_id, ready.release, ready.hostname)
        + bytes([ready.held])
    )


def parse_ready(payload: bytes) -> Ready:
    """Of another major version only the version is read; bytes after those known here are a later minor version's."""
    if len(payload) < _READY_PREFIX.size:
        raise _malformed(Kind.READY)
    nonce, major, minor = _READY_PREFIX.unpack_from(payload)
    if major != MAJOR:
        return Ready(nonce, major, minor)
    fixed = payload[_READY_PREFIX.size :]
    entry_end = _READY.size + _ENTRY.size
    if len(fixed) < entry_end:
        raise _malformed(Kind.READY)
    entry = parse_entry(fixed[_READY.size : entry_end], Kind.READY)
    started_ns, ready_ns, wall_ns, max_streams, window = _READY.unpack_from(fixed)
    (boot_id, release, hostname), later = _parse_strings(Kind.READY, fixed[entry_end:], 3)
    return Ready(
        nonce,
        major,
        minor,
        started_ns,
        ready_ns,
        wall_ns,
        max_streams,
        window,
        entry,
        boot_id,
        release,
        hostname,
        held=bool(later[0]) if later else False,
    )


def dump_exec(request: ExecRequest) -> bytes:
    """Raises Invalid when it does not fit one frame: a long script belongs on the standard input."""
    flags = (_TTY if request.tty else 0) | (_STDIN if request.stdin or request.tty else 0)
    flags |= _BUILTIN if request.builtin else 0
    flags |= _DETACHED if request.detached else 0
    rows, cols = request.tty or (0, 0)
    env = [f"{name}={value}" for name, value in request.env.items()]
    if not request.argv or not request.argv[0]:
        raise Invalid("no command to run")
    if any(not name or "=" in name for name in request.env):
        raise Invalid("an environment variable's name is empty or contains '='")
    strings = _dump_strings(*request.argv, *env, request.cwd or "", request.user or "")
    if len(request.argv) > MAX_STRINGS or len(env) > MAX_STRINGS or len(strings) > MAX_PAYLOAD - _EXEC.size:
        hint = "pass long input on standard input"
        raise Invalid(f"command and environment are longer than {MAX_PAYLOAD - _EXEC.size} bytes", hint=hint)
    return _EXEC.pack(flags, rows, cols, len(request.argv), len(env)) + strings


def parse_exec(payload: bytes) -> ExecRequest:
    """What the agent reads. The strings must end where the payload does."""
    if len(payload) < _EXEC.size:
        raise _malformed(Kind.EXEC)
    flags, rows, cols, argc, envc = _EXEC.unpack_from(payload)
    if flags & ~_FLAGS or not 1 <= argc <= MAX_STRINGS or envc > MAX_STRINGS:
        raise _malformed(Kind.EXEC)
    strings, rest = _parse_strings(Kind.EXEC, payload[_EXEC.size :], argc + envc + 2)
    env = [text.partition("=") for text in strings[argc : argc + envc]]
    if rest or not strings[0] or not all(name and equals for name, equals, _ in env):
        raise _malformed(Kind.EXEC)
    return ExecRequest(
        argv=strings[:argc],
        env={name: value for name, _, value in env},
        cwd=strings[-2] or None,
        user=strings[-1] or None,
        tty=(rows, cols) if flags & _TTY else None,
        stdin=bool(flags & _STDIN),
        builtin=bool(flags & _BUILTIN),
        detached=bool(flags & _DETACHED),
    )


def dump_u32(value: int) -> bytes:
    """WINDOW (a credit in bytes), SIGNAL (its number), STARTED (a pid), OOM (how many)."""
    return _U32.pack(value)


def parse_u32(kind: Kind, payload: bytes) -> int:
    return _unpack(kind, _U32, payload)[0]


def dump_resize(rows: int, cols: int) -> bytes:
    return struct.pack("<HH", rows, cols)


def dump_signal(number: int) -> bytes:
    """Raises Invalid for what is no signal."""
    if not 1 <= number <= 64:
        raise Invalid(f"{number} is not a signal")
    return _U32.pack(number)


def dump_time(wall_ns: int) -> bytes:
    return struct.pack("<Q", wall_ns)


def dump_shutdown(kind: ShutdownKind, grace_ms: int) -> bytes:
    """`grace_ms`: how long processes have between SIGTERM and SIGKILL; at most 60 000."""
    return struct.pack("<BI", _SHUTDOWN_KINDS[kind], grace_ms)


def dump_exit(status: ExitStatus) -> bytes:
    return _EXIT.pack(*_dump_how(status))


def parse_exit(payload: bytes) -> ExitStatus:
    status = _parse_how(Kind.EXIT, *_unpack(Kind.EXIT, _EXIT, payload))
    if status is None:
        raise _malformed(Kind.EXIT)
    return status


def dump_error(error: AgentError) -> bytes:
    return _U32.pack(error.code) + _dump_strings(error.text)


def parse_error(payload: bytes) -> AgentError:
    strings, rest = _parse_strings(Kind.ERROR, payload[_U32.size :], 1)
    if rest:
        raise _malformed(Kind.ERROR)
    return AgentError(_U32.unpack_from(payload)[0], strings[0])


def dump_committed(refusal: str | None) -> bytes:
    """`refusal`: why not, cut to what fits one frame; None: accepted."""
    what, text = (1, "") if refusal is None else (2, refusal)
    return bytes([what]) + text.replace("\0", " ").encode("utf-8", "surrogateescape")[: MAX_PAYLOAD - 2] + b"\0"


def parse_committed(payload: bytes) -> str | None:
    """What the agent reads."""
    strings, rest = _parse_strings(Kind.COMMITTED, payload[1:], 1)
    if rest or payload[0] not in (1, 2):
        raise _malformed(Kind.COMMITTED)
    return strings[0] if payload[0] == 2 else None


def dump_reason(reason: str) -> bytes:
    return _dump_strings(reason)


def parse_reason(payload: bytes) -> str:
    strings, rest = _parse_strings(Kind.REASON, payload, 1)
    if rest:
        raise _malformed(Kind.REASON)
    return strings[0]


@dataclass(frozen=True, slots=True)
class MachineEvent:
    """What a program in a machine tells the host: a word of its choice, and a line of text."""

    kind: str
    text: str


def dump_event(event: MachineEvent) -> bytes:
    return _dump_strings(event.kind, event.text)


def parse_event(payload: bytes) -> MachineEvent:
    strings, rest = _parse_strings(Kind.EVENT, payload, 2)
    if rest or not re.fullmatch(EVENT_KIND, strings[0]):
        raise _malformed(Kind.EVENT)
    return MachineEvent(*strings)
