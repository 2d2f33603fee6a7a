"""Errors as the command line tells them: one line with a code, then what does not fit a line, indented."""

import sys

import click

from weft.model.errors import Internal, WeftError

USAGE_STATUS = 2


def report_error(err: WeftError) -> None:
    """`weft: CODE: what and where (hint)` on standard error, the detail below it."""
    print(f"weft: {err.code}: {' '.join(str(err).split())}", file=sys.stderr)
    for line in (err.detail or "").rstrip().splitlines():
        print(f"    {dump_printable(line)}", file=sys.stderr)


def report_usage(err: click.ClickException) -> int:
    """A command line that is wrong, in the same form; help if nothing was asked for. The exit status."""
    if isinstance(err, click.exceptions.NoArgsIsHelpError):
        err.show()
        return USAGE_STATUS
    message = " ".join(err.format_message().split()).rstrip(".")
    ctx = getattr(err, "ctx", None)
    hint = f" (see: {ctx.command_path} --help)" if ctx else ""
    print(f"weft: invalid: {message}{hint}", file=sys.stderr)
    return USAGE_STATUS


def report_defect(err: Exception) -> None:
    """What nobody foresaw, in the same form, with the place in our code."""
    import traceback

    where = "".join(traceback.format_exception(err))
    message = f"{type(err).__name__}: {err}"
    report_error(Internal(message, hint="a defect of Weft: please report what follows", detail=where))


def dump_printable(line: str) -> str:
    """Without control characters: a machine's log must not steer the terminal that shows an error."""
    return "".join(c for c in line.replace("\t", " ") if c.isprintable())
