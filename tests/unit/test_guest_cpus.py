"""What guests say of their processors; they are not trusted."""

import pytest

from weft.guest.cpus import Processors, count_cpus, parse_processors
from weft.model.errors import Unavailable


def test_a_guest_counts() -> None:
    assert parse_processors(b"2 4 8\n") == Processors(online=2, present=4, possible=8)


@pytest.mark.parametrize(
    "text", [b"", b"2 4\n", b"2 4 8", b"2 4 8\n2 4 8\n", b"-1 4 8\n", b"2 4 99999\n", b"\xff 4 8\n"]
)
def test_what_it_cannot_have_said(text: bytes) -> None:
    with pytest.raises(Unavailable, match="makes no sense"):
        parse_processors(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 1), ("0-3", 4), ("0-1,3,6-7", 5), ("", None), ("x", None), ("0-", None), ("9" * 50, None), ("3-1", None)],
)
def test_lists_are_counted(text: str, count: int | None) -> None:
    assert count_cpus(text) == count
