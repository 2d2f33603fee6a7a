"""Signals of a Linux guest by name and number."""

import re

from weft.model.errors import Invalid

_NAMES = (
    *("HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM"),
    *("TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF"),
    *("WINCH", "IO", "PWR", "SYS"),
)
_NUMBERS = {name: number for number, name in enumerate(_NAMES, 1)} | {"IOT": 6, "POLL": 29}
_RTMIN, _RTMAX = 34, 64
"""As glibc counts; musl keeps one more to itself. What container images mean by SIGRTMIN is glibc's."""
_REALTIME = re.compile(r"RT(?:MIN(?:\+(\d+))?|MAX(?:-(\d+))?)")


def parse_signal(text: str) -> str:
    """The full name of a signal given as `SIGTERM`, `term` or `15`. Raises Invalid."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isdecimal():
        return _name_of(int(name), text)
    if find_number(name) is None:
        raise Invalid(f"signal {text!r} is not a signal", hint="write it like SIGTERM, TERM or 15")
    return f"SIG{name}"


def signal_number(name: str) -> int:
    """The number of a signal that `parse_signal` gave. Raises Invalid."""
    number = find_number(name.removeprefix("SIG"))
    if number is None:
        raise Invalid(f"signal {name!r} is not a signal")
    return number


def signal_name(number: int) -> str:
    """What a signal of this number is called: 9 is SIGKILL."""
    return _name_of(number, str(number))


def find_number(name: str) -> int | None:
    """The number of a signal named without `SIG`."""
    if (number := _NUMBERS.get(name)) is not None:
        return number
    if not (match := _REALTIME.fullmatch(name)):
        return None
    number = _RTMIN + int(match[1] or 0) if name.startswith("RTMIN") else _RTMAX - int(match[2] or 0)
    return number if _RTMIN <= number <= _RTMAX else None


def _name_of(number: int, text: str) -> str:
    if 1 <= number <= len(_NAMES):
        return f"SIG{_NAMES[number - 1]}"
    if _RTMIN <= number <= _RTMAX:
        return f"SIGRTMIN+{number - _RTMIN}"
    raise Invalid(f"signal {text!r} is not a signal", hint="numbers go from 1 to 31 and from 34 to 64")
