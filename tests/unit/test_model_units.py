"""Sizes and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.model.units import dump_duration, dump_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("65536", 65536), ("64M", 64 << 20), ("64m", 64 << 20), (" 1 GiB ", 1 << 30), ("2TB", 2 << 40), ("3kib", 3072)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0M", "-1", "1.5G", "M", "64X", "64 M B", "64MM"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a size"):
        parse_size(text)


@given(st.integers(min_value=1, max_value=1 << 60))
def test_a_size_comes_back_exactly(size: int) -> None:
    assert parse_size(dump_size(size)) == size


def test_a_size_is_shown_in_its_largest_exact_unit() -> None:
    assert [dump_size(n) for n in (0, 1, 1024, 64 << 20, (64 << 20) + 1, 5 << 40)] == [
        "0",
        "1",
        "1K",
        "64M",
        "67108865",
        "5T",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("2D", 172800),
        ("1.5s", 1.5),
        ("45", 45),
        ("0.25", 0.25),
        (" 1m ", 60),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5s", "1.5h", "s", "10 m", "30m1h", "never", "1e3"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**8))
def test_whole_seconds_come_back_exactly(seconds: int) -> None:
    assert parse_duration(dump_duration(seconds)) == seconds


def test_a_duration_is_shown_for_people() -> None:
    assert [dump_duration(n) for n in (0.25, 59, 60, 5400, 90061)] == ["0.25s", "59s", "1m", "1h30m", "1d1h1m1s"]
