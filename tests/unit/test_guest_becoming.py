"""What a copy is told: whatever its pieces, it is put together whole or not at all."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import guest_library
from tests.unit.test_guest_config import configs

from weft.guest.becoming import MAX_BYTES, PIECE_BYTES, SEED_BYTES, Become, Gatherer, Told, become_id, dump_become
from weft.guest.config import GuestConfig, GuestFile
from weft.guest.config_parse import parse_guest_config
from weft.guest.config_text import dump_guest_config
from weft.guest.frames import MAX_PAYLOAD
from weft.model.errors import Invalid

seeds = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES)
times = st.integers(0, 2**63 - 1)
LONG = Become(GuestConfig(files=tuple(GuestFile(f"/f{n}", "x" * 5000) for n in range(9))), b"s" * SEED_BYTES)


def gather(pieces: list[bytes]) -> Told | None:
    gatherer = Gatherer()
    *first, last = pieces
    assert all(gatherer.take(piece) is None for piece in first)
    return gatherer.take(last)


@given(configs, seeds, times)
def test_what_is_told_is_what_is_gathered(config: GuestConfig, seed: bytes, wall_ns: int) -> None:
    become = Become(config, seed)
    told = gather(list(dump_become(become, wall_ns)))
    assert told == Told(become_id(become), seed, wall_ns, dump_guest_config(config))
    assert parse_guest_config(told.text) == config
    assert guest_library.gather(list(dump_become(become, wall_ns))) == [(told.id, seed, wall_ns, told.text)]


def test_a_long_text_comes_in_full_frames() -> None:
    pieces = list(dump_become(LONG, 1))
    assert len(pieces) > 5 and all(len(piece) == MAX_PAYLOAD for piece in pieces[:-1])
    told = gather(pieces)
    assert told and told.text == dump_guest_config(LONG.config)


@given(st.data())
def test_a_piece_that_is_missing_or_doubled_is_never_passed_over(data: st.DataObject) -> None:
    pieces = list(dump_become(LONG, 1))
    number = data.draw(st.integers(1, len(pieces) - 2))
    for damaged in (pieces[:number] + pieces[number + 1 :], pieces[: number + 1] + pieces[number:]):
        gatherer, told = Gatherer(), []
        for piece in damaged:
            with contextlib.suppress(Invalid):
                told.append(gatherer.take(piece))
        assert not any(told)
        assert gather(pieces) is not None


def test_it_begins_anew_with_the_first_piece() -> None:
    pieces, gatherer = list(dump_become(LONG, 1)), Gatherer()
    assert [gatherer.take(piece) for piece in pieces[:3]] == [None] * 3
    assert [gatherer.take(piece) for piece in pieces][-1] is not None


@given(st.lists(st.binary(max_size=40)))
def test_garbage_is_refused_and_nothing_else(payloads: list[bytes]) -> None:
    gatherer = Gatherer()
    for payload in payloads:
        with contextlib.suppress(Invalid):
            assert gatherer.take(payload) is None or len(payload) > SEED_BYTES


def piece(at: int, total: int, data: bytes) -> bytes:
    return at.to_bytes(4, "little") + total.to_bytes(4, "little") + data


pieces_of_anything = st.builds(piece, st.sampled_from([0, 0, 30, 60]), st.integers(50, 95), st.binary(max_size=60))


@given(st.lists(pieces_of_anything | st.binary(max_size=12), max_size=6))
def test_both_ends_gather_the_same(payloads: list[bytes]) -> None:
    gatherer, mine = Gatherer(), []
    for payload in payloads:
        with contextlib.suppress(Invalid):
            if told := gatherer.take(payload):
                mine.append((told.id, told.seed, told.wall_ns, told.text))
    assert guest_library.gather(payloads) == mine


def test_what_padding_has_completed_is_nothing() -> None:
    whole = next(dump_become(Become(GuestConfig(hostname="a" * 20), bytes(32)), 1))
    for cut in range(8, len(whole)):
        padded = whole[:cut].ljust(len(whole), b"\0")
        assert guest_library.gather([padded]) == []
        with pytest.raises(Invalid):
            Gatherer().take(padded)


@pytest.mark.parametrize("become", [Become(GuestConfig(), b"short"), Become(GuestConfig(template=True), bytes(32))])
def test_what_no_copy_can_be_told(become: Become) -> None:
    with pytest.raises(Invalid):
        list(dump_become(become, 0))


def test_the_seed_is_not_shown() -> None:
    assert "ssss" not in repr(LONG)
    assert b"s" * 8 not in become_id(LONG)


def test_the_longest_text_fits() -> None:
    assert MAX_BYTES > 256 * 1024 and PIECE_BYTES < MAX_PAYLOAD
