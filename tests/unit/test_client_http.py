"""The HTTP reader against every way a body can come, cut at every place."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.client.http import Answer, Disconnected, send_request
from weft.model.errors import Internal


def read_answer(raw: bytes, cuts: list[int] | None = None) -> tuple[int, bytes]:
    """What the reader makes of these bytes when they arrive in these pieces, then the end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)

    def send() -> None:
        with theirs:
            places = sorted({min(cut, len(raw)) for cut in cuts or []} | {0, len(raw)})
            for start, end in itertools.pairwise(places):
                theirs.sendall(raw[start:end])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with Answer(ours) as answer:
            return answer.status, answer.read()
    finally:
        thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\n"
FORMS: list[Callable[[bytes], bytes]] = [
    lambda body: HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body,
    lambda body: HEAD + b"\r\n" + body,
    lambda body: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body) + b"0\r\nTrailer: x\r\n\r\n",
]


def in_chunks(body: bytes) -> bytes:
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    return b"".join(b"%X;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@pytest.mark.parametrize("form", FORMS)
@given(body=st.binary(max_size=60), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_body_is_whole_however_it_is_cut(form: Callable[[bytes], bytes], body: bytes, cuts: list[int]) -> None:
    assert read_answer(form(body), cuts) == (200, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        HEAD + b"Content-Length: 5\r\n\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_an_answer_cut_short_is_no_answer(raw: bytes) -> None:
    with pytest.raises(Disconnected):
        read_answer(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: x\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: " + b"y" * 70000,
    ],
)
def test_nonsense_is_told_from_silence(raw: bytes) -> None:
    with pytest.raises(Internal):
        read_answer(raw)


@given(st.binary(max_size=80))
def test_any_garbage_ends_in_an_answer_or_a_typed_error(raw: bytes) -> None:
    with contextlib.suppress(Internal, Disconnected):
        read_answer(raw)


def test_lines_arrive_when_they_are_there() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.sendall(HEAD + b"\r\none\r\ntw")
    with theirs, Answer(ours) as answer:
        lines = answer.lines()
        assert next(lines) == "one"
        theirs.sendall(b"o\nthree")
        assert next(lines) == "two"
        theirs.shutdown(socket.SHUT_WR)
        assert list(lines) == ["three"]


def test_silence_is_an_error_with_the_time_in_it() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.02)
    with theirs, pytest.raises(Disconnected, match=r"0\.02 s"):
        send_request(ours, "GET", "/")


def test_silence_on_a_watched_stream_asks_and_goes_on() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.sendall(HEAD + b"\r\n")

    def on_idle() -> None:
        theirs.sendall(b"late")
        theirs.shutdown(socket.SHUT_WR)

    with theirs, Answer(ours) as answer:
        answer.watch_silence(0.01, on_idle)
        assert answer.read() == b"late"


def test_silence_on_a_watched_stream_ends_when_the_watcher_gives_up() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.sendall(HEAD + b"\r\n")

    def give_up() -> None:
        raise Disconnected("gone")

    with theirs, Answer(ours) as answer, pytest.raises(Disconnected, match="gone"):
        answer.watch_silence(0.01, give_up)
        answer.read()


def test_a_daemon_that_went_away_before_the_request() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(Disconnected):
        send_request(ours, "POST", "/", {"a": 1})
    assert ours.fileno() == -1


def test_json_that_is_none() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(HEAD + b"Content-Length: 3\r\n\r\nno!")
        with Answer(ours) as answer, pytest.raises(Internal, match="not JSON"):
            answer.json()
