"""Progress of long work: a live line on a terminal, plain lines elsewhere. Always on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from weft.client.transport import Progress

_STEPS = 10
_NO_DIGITS = str.maketrans("", "", "0123456789")


class PlainProgress:
    """A line for every new text, and one for every tenth of it that is done. Numbers in a text make it no new one."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._words = ""
        self._shown = 0

    def __call__(self, text: str, fraction: float | None) -> None:
        step, words = int((fraction or 0.0) * _STEPS), text.translate(_NO_DIGITS)
        if (words, step) == (self._words, self._shown):
            return
        self._words, self._shown = words, step
        percent = "" if fraction is None else f" {fraction:.0%}"
        print(f"{self._title}: {text}{percent}", file=sys.stderr, flush=True)


@contextmanager
def open_progress(title: str) -> Iterator[Progress]:
    """What to call with each step."""
    if not sys.stderr.isatty():
        yield PlainProgress(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, text="")

        def show(text: str, fraction: float | None) -> None:
            total = None if fraction is None else 1.0
            bar.update(task, total=total, completed=fraction or 0.0, text=text)

        yield show
