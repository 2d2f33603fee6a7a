"""HTTP/1.1 over one connected stream: one request, one answer, as much of it at a time as has arrived.

The standard library's `http.client` takes 22 ms to import, for TLS and mail headers that a unix socket never needs:
more than everything else `weft ps` does after Python has started. What is read here is RFC 9112: status line, fields,
and a body that is chunked, counted, or ends with the connection.
"""

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from weft.model.errors import Internal, Unavailable

_PIECE = 1 << 16
_LONGEST_LINE = 1 << 16


class Disconnected(Unavailable):
    """The daemon went silent or away in the middle of an answer; asking again may find it, or a new one."""


class Answer:
    """The answer to one request. Close it, or use it as a context manager."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._ended = False
        self._on_idle: Callable[[], None] | None = None
        self.status, self.fields = self._read_head()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; the daemon takes that as the end of a stream's interest."""
        self._sock.close()

    def watch_silence(self, seconds: float, on_idle: Callable[[], None]) -> None:
        """For streams: silence is no error; `on_idle` is called after every `seconds` of it, and raises to give up."""
        self._sock.settimeout(seconds)
        self._on_idle = on_idle

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def json(self) -> Any:
        """The whole body, decoded; None if it is empty."""
        body = self.read()
        try:
            return json.loads(body) if body else None
        except ValueError as err:
            raise Internal(f"the daemon's answer is not JSON: {body[:80]!r}") from err

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif (length := self.fields.get("content-length")) is not None:
            yield from self._counted(_parse_count(length, 10))
        else:
            yield from self._until_end()

    def lines(self) -> Iterator[str]:
        """The body's lines as they arrive, without their ends."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r").decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    def _read_head(self) -> tuple[int, dict[str, str]]:
        version, _, rest = self._line().partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise Internal("what answers on the daemon's socket does not speak HTTP")
        fields: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        return int(rest[:3]), fields

    def _fill(self) -> bool:
        """Waits for more bytes; False at the end of the stream."""
        while not self._ended:
            try:
                data = self._sock.recv(_PIECE)
            except TimeoutError as err:
                self._report_silence(err)
                continue
            except OSError as err:
                raise Disconnected(f"the connection to the daemon broke: {err.strerror or err}") from err
            self._ended = not data
            self._buffer += data
            return bool(data)
        return False

    def _report_silence(self, err: TimeoutError) -> None:
        if self._on_idle is None:
            raise Disconnected(f"the daemon did not answer within {self._sock.gettimeout():g} s") from err
        self._on_idle()

    def _line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise Internal("the daemon's answer has a line without an end")
            if not self._fill():
                raise Disconnected("the daemon closed the connection in the middle of an answer")
        line = self._buffer[:end].removesuffix(b"\r").decode("latin-1")
        del self._buffer[: end + 1]
        return line

    def _take(self, most: int) -> bytes:
        data = bytes(self._buffer[:most])
        del self._buffer[:most]
        return data

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            if not self._buffer and not self._fill():
                raise Disconnected("the daemon closed the connection in the middle of an answer")
            data = self._take(left)
            left -= len(data)
            yield data

    def _chunks(self) -> Iterator[bytes]:
        while size := _parse_count(self._line().partition(";")[0], 16):
            yield from self._counted(size)
            self._line()
        while self._line():
            pass

    def _until_end(self) -> Iterator[bytes]:
        while self._buffer or self._fill():
            yield self._take(_PIECE)


def send_request(sock: socket.socket, method: str, target: str, body: object = None) -> Answer:
    """Sends one request with a JSON body (None: no body) and reads the head of its answer.

    The connection serves this one request. Closes the socket if that fails; raises Disconnected or Internal.
    """
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\nContent-Length: {len(data)}\r\n"
    if data:
        head += "Content-Type: application/json\r\n"
    try:
        sock.sendall(f"{head}\r\n".encode("ascii") + data)
        return Answer(sock)
    except OSError as err:
        sock.close()
        raise Disconnected(f"the daemon does not take requests: {err.strerror or err}") from err
    except BaseException:
        sock.close()
        raise


def send_stream(sock: socket.socket, method: str, target: str, pieces: Iterable[bytes]) -> Answer:
    """Sends a request with a body of unknown length, in chunks, and reads the head of its answer.

    A daemon that has heard enough answers before the body's end. Closes the socket if that fails; raises Disconnected
    or Internal, and whatever `pieces` raises."""
    head = f"{method} {target} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    try:
        sock.sendall(head.encode("ascii"))
        for piece in pieces:
            if piece:
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")
        return Answer(sock)
    except (BrokenPipeError, ConnectionResetError):
        return _read_early(sock)
    except BaseException:
        sock.close()
        raise


def _read_early(sock: socket.socket) -> Answer:
    try:
        return Answer(sock)
    except BaseException:
        sock.close()
        raise


def _parse_count(text: str, base: int) -> int:
    try:
        count = int(text.strip(), base)
    except ValueError as err:
        raise Internal(f"the daemon's answer has a bad length: {text[:40]!r}") from err
    if count < 0:
        raise Internal(f"the daemon's answer has a bad length: {text[:40]!r}")
    return count
