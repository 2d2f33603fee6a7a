"""A daemon's face without a daemon: a real HTTP and WebSocket server on a unix socket, with answers set by tests."""

import json
import os
import socket
import socketserver
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, unix_serve

MACHINE = {
    "name": "web",
    "image": "web",
    "state": "running",
    "networks": [{"nic": 0, "network": "lan", "address": "10.1.0.2", "mac": "52:54:00:00:00:01"}],
    "pid": 4711,
    "profile": "microvm",
    "kernel": "weft",
    "memory": 64 << 20,
    "cpus": 1,
    "created": 1.0e9,
}


class Request(NamedTuple):
    """What a client asked; `query` has the last value of each key."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Reply(NamedTuple):
    """An answer: bytes are sent with their length, pieces are sent in chunks as they come."""

    body: bytes | Iterable[bytes]
    status: int = 200
    type: str = "application/json"


def fail(status: int, code: str, message: str, hint: str | None = None, detail: str | None = None) -> Reply:
    """An error as the API sends it."""
    error = {"code": code, "message": message, "hint": hint, "detail": detail}
    return Reply(json.dumps({"error": error}).encode(), status)


Answer = Callable[[Request], Any]


class FakeDaemon:
    """Answers what `on` and `on_session` say; keeps every request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], Answer] = {}
        self._sessions: dict[str, Callable[[ServerConnection], None]] = {}
        self.on("GET", "/v1/version", {"version": "9", "api": 1, "pid": 1, "home": "/", "accel": "tcg", "started": 1})

    def on(self, method: str, path: str, answer: Any) -> None:
        """`answer` is JSON, a Reply, or a function of the request that gives one of them."""
        self._answers[method, path] = answer if callable(answer) else lambda _request: answer

    def on_session(self, path: str, talk: Callable[[ServerConnection], None]) -> None:
        """What is done with a WebSocket opened at this path."""
        self._sessions[path] = talk

    def last(self) -> Request:
        """The latest request."""
        return self.requests[-1]

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        if not (answer := self._answers.get((request.method, request.path))):
            return Reply(b'{"detail":"Not Found"}', 404)
        value = answer(request)
        return value if isinstance(value, Reply) else Reply(json.dumps(value).encode())

    def talk(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            self._sessions[connection.request.path if connection.request else ""](connection)

    def refuse(self, connection: ServerConnection, request: WebSocketRequest) -> Response | None:
        """A session that no test has announced does not exist."""
        if request.path in self._sessions:
            return None
        reply = fail(404, "not-found", f"nothing at {request.path}")
        return connection.respond(reply.status, bytes(reply.body).decode())  # type: ignore[arg-type]


def _parse_body(data: bytes, chunked: bool) -> Any:
    """JSON, but for what comes in chunks: that is a file."""
    if chunked:
        return data
    return json.loads(data) if data else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: FakeDaemon

    def _serve(self) -> None:
        url = urlsplit(self.path)
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        data = self._read_chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        reply = self.server.fake.answer(  # type: ignore[attr-defined]
            Request(self.command, unquote(url.path), query, _parse_body(data, chunked))
        )
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.type)
        self._send_body(reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (the names http.server looks for)

    def _read_chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _send_body(self, body: bytes | Iterable[bytes]) -> None:
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_args: object) -> None:
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeDaemon
    sessions: str

    def finish_request(self, request: Any, client_address: Any) -> None:
        if _wants_websocket(request):
            _relay(request, self.sessions)
        else:
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away; what matters to a test is what the client then does


def _wants_websocket(sock: socket.socket) -> bool:
    """Looks at the request's head without taking it."""
    sock.settimeout(5)
    head = sock.recv(4096, socket.MSG_PEEK)
    sock.settimeout(None)
    return b"upgrade: websocket" in head.lower()


def _relay(client: socket.socket, address: str) -> None:
    """Passes bytes both ways until both ends have closed."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        back = Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def open_fake_daemon(home: Path) -> Iterator[FakeDaemon]:
    """Serves the home's socket while the context lasts."""
    home.mkdir(parents=True, exist_ok=True)
    folder = os.open(home, os.O_PATH)
    address = f"/proc/self/fd/{folder}/"
    fake = FakeDaemon()
    with ExitStack() as stack:
        stack.callback(os.close, folder)
        sessions = unix_serve(fake.talk, f"{address}sessions.sock", process_request=fake.refuse, ping_interval=None)
        _serve_in_thread(stack, sessions.serve_forever, sessions.shutdown)
        server = stack.enter_context(_Server(f"{address}weft.sock", _Handler))
        stack.callback((home / "weft.sock").unlink)
        server.fake, server.sessions = fake, f"{address}sessions.sock"
        _serve_in_thread(stack, lambda: server.serve_forever(0.02), server.shutdown)
        yield fake


def _serve_in_thread(stack: ExitStack, serve: Callable[[], None], shutdown: Callable[[], None]) -> None:
    thread = Thread(target=serve, daemon=True)
    thread.start()
    stack.callback(thread.join, 5)
    stack.callback(shutdown)
