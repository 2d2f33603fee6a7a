"""The one error tree.

    WeftError
    ├── NotFound      not-found     what was named does not exist
    ├── Forbidden     forbidden     whoever asks was not given this
    ├── Exists        exists        the name is taken
    ├── WrongState    wrong-state   it exists, but not in a state in which this can be done
    ├── NoRoom        no-room       the host, a subnet or a limit has nothing left
    ├── Invalid       invalid       the request itself is wrong: syntax, range, unknown key
    ├── Unavailable   unavailable   a facility, a program or a peer is not there or does not answer in time
    └── Internal      internal      a defect: ours, or of a program we drive

Codes are stable: they are part of the API and of the command line's output. A foreign error is translated once,
where it enters, with ``from err``. Only the command line prints or exits.
"""

from typing import ClassVar


class WeftError(Exception):
    """Something a user can be told in one line: what is wrong and where, and perhaps what would help."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        """`detail` is what does not fit one line: the end of a serial log, the tail of a program's output."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def as_dict(self) -> dict[str, str | None]:
        """The error as the API sends it."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "detail": self.detail}


class NotFound(WeftError):
    code = "not-found"
    http_status = 404


class Forbidden(WeftError):
    code = "forbidden"
    http_status = 403


class Exists(WeftError):
    code = "exists"
    http_status = 409


class WrongState(WeftError):
    code = "wrong-state"
    http_status = 409


class NoRoom(WeftError):
    code = "no-room"
    http_status = 507


class Invalid(WeftError):
    code = "invalid"
    http_status = 422


class Unavailable(WeftError):
    code = "unavailable"
    http_status = 503


class Internal(WeftError):
    code = "internal"
    http_status = 500


ERRORS: dict[str, type[WeftError]] = {
    cls.code: cls for cls in (NotFound, Forbidden, Exists, WrongState, NoRoom, Invalid, Unavailable, Internal)
}
"""Every leaf of the tree by its code: how a client turns an answer back into an exception."""


def error_from_dict(data: dict[str, str | None]) -> WeftError:
    """The exception that `as_dict` described; an unknown code becomes `Internal`."""
    cls = ERRORS.get(data.get("code") or "", Internal)
    return cls(data.get("message") or "no message", hint=data.get("hint"), detail=data.get("detail"))
