"""Plans as tables, and steps as they are taken."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from weft.cli.printing import dump_table
from weft.cli.report import dump_printable

Json = Mapping[str, Any]
_MARKS = {"restarts": "RESTARTS", "loses": "LOSES"}
_DONE = {
    "build": "built", "pull": "pulled", "create": "created", "change": "changed", "configure": "configured",
    "recreate": "made anew", "start": "started", "stop": "stopped", "remove": "removed",
}  # fmt: skip


def dump_plan(plan: Json) -> str:
    """A table: what is done to what, and why. Below it what stays though somebody may expect otherwise."""
    table = dump_steps(plan["steps"]) if plan["steps"] else "nothing to do"
    return "\n".join([table, *plan["notes"]])


def dump_steps(steps: Sequence[Json]) -> str:
    """There are columns for restarts and losses only where there are any. What is new is started without a word."""
    new = {(step["room"], step["kind"], step["name"]) for step in steps if step["verb"] == "create"}
    steps = [step for step in steps if step["verb"] != "start" or (step["room"], step["kind"], step["name"]) not in new]
    marks = {key: title for key, title in _MARKS.items() if any(step[key] for step in steps)}
    rows = [
        [
            step["room"],
            step["verb"],
            step["kind"],
            step["name"],
            *(", ".join(step[key]) for key in marks),
            dump_why(step),
        ]
        for step in steps
    ]
    return dump_table(("ROOM", "DO", "KIND", "NAME", *marks.values(), "WHY"), rows)


def dump_why(step: Json) -> str:
    """All reasons in one line."""
    return "; ".join(step["why"])


def dump_report(report: Json) -> str:
    """A step that is over, or has begun, in one line."""
    step, seconds = report["step"], report.get("seconds")
    where = " ".join(filter(None, (step["room"], step["kind"], step["name"])))
    took = f" in {seconds:.1f} s" if seconds is not None and seconds >= 0.05 else ""
    if report["progress"] == "done":
        return f"{where}: {_DONE.get(step['verb'], step['verb'])}{took}"
    if report["progress"] == "failed":
        error = report["error"] or {}
        hint = f" ({error['hint']})" if error.get("hint") else ""
        return (
            f"{where}: {step['verb']} failed: {error.get('code')}: {dump_printable(error.get('message') or '')}{hint}"
        )
    if report["progress"] == "skipped":
        return f"{where}: {step['verb']} was left out: it needs what failed, or nothing more was begun"
    return f"{where}: {step['verb']}"


class Show(Protocol):
    """Tells of steps as their reports and murmurs come."""

    def step(self, report: Json) -> None:
        """A step has begun, or is over."""
        ...

    def murmur(self, key: str, text: str, fraction: float | None) -> None:
        """What one does."""
        ...


class PlainShow:
    """A line for each step that is over, on standard error. Below one that failed what its error had to show.

    An image may take minutes: that it was begun is told, too.
    """

    def step(self, report: Json) -> None:
        if report["progress"] != "begun" or report["step"]["kind"] == "image":
            print(dump_report(report), file=sys.stderr, flush=True)
            for line in _detail(report):
                print(f"    {line}", file=sys.stderr, flush=True)

    def murmur(self, key: str, text: str, fraction: float | None) -> None:
        """Nothing: a log does not need it."""


class LiveShow:
    """The same on a terminal, and below it what goes on at the moment."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._running: dict[str, tuple[str, str]] = {}

    def step(self, report: Json) -> None:
        key = report["step"]["key"]
        if report["progress"] == "begun":
            self._running[key] = dump_report(report), ""
        else:
            self._running.pop(key, None)
            self._live.console.print("\n".join([dump_report(report), *(f"    {line}" for line in _detail(report))]))
        self._draw()

    def murmur(self, key: str, text: str, fraction: float | None) -> None:
        if key in self._running:
            part = "" if fraction is None else f" {fraction:.0%}"
            self._running[key] = self._running[key][0], f": {text}{part}"
            self._draw()

    def _draw(self) -> None:
        self._live.update("\n".join(f"· {what}{doing}" for what, doing in self._running.values()))


def _detail(report: Json) -> list[str]:
    lines = ((report.get("error") or {}).get("detail") or "").rstrip().splitlines()
    return [dump_printable(line) for line in lines[-10:]]


@contextmanager
def open_show() -> Iterator[Show]:
    """How steps are told of here."""
    if not sys.stderr.isatty():
        yield PlainShow()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    with Live(console=console, transient=True, refresh_per_second=8) as live:
        yield LiveShow(live)
