"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Called with what is being done and the fraction done, from 0 to 1, or None when that is not known."""


def ignore_progress(_text: str, _fraction: float | None) -> None:
    """For callers that do not want to know."""
