"""A server of nothing but metrics, for a Prometheus that cannot ask on a unix socket."""

import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from weft.model.errors import Invalid, Unavailable, WeftError

Ask = Callable[[str], bytes]
"""Metrics in a format: `text` or `openmetrics`."""

TYPES = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
PATH = "/metrics"
_MOST_AT_ONCE = 4
_PATIENCE = 10.0
"""Seconds for a peer to say what it wants, and to take what it gets."""


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port from `127.0.0.1:9469`, `[::1]:9469` or `:9469`, which is the host itself. Raises Invalid."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise Invalid(f"{text!r} is no address to listen at", hint="write it like 127.0.0.1:9469")
    return host, int(port)


class Exporter(ThreadingHTTPServer):
    """Answers `GET /metrics` at an address. Raises Unavailable when it cannot be listened at."""

    daemon_threads = True

    def __init__(self, host: str, port: int, ask: Ask) -> None:
        self.ask = ask
        self.free = BoundedSemaphore(_MOST_AT_ONCE)
        try:
            ((self.address_family, _, _, _, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            super().__init__((str(address[0]), port), _Handler)
        except OSError as err:
            raise Unavailable(f"nobody can listen at {host}:{port}: {err.strerror or err}") from err

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


class _Handler(BaseHTTPRequestHandler):
    server: Exporter
    timeout = _PATIENCE
    server_version, sys_version = "weft", ""

    def do_GET(self) -> None:
        """One scrape."""
        if urlsplit(self.path).path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"the metrics are at {PATH}\n".encode())
        elif not self.server.free.acquire(blocking=False):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"too many at once\n")
        else:
            try:
                self._scrape()
            finally:
                self.server.free.release()

    def _scrape(self) -> None:
        form = "openmetrics" if "application/openmetrics-text" in self.headers.get("Accept", "") else "text"
        try:
            body = self.server.ask(form)
        except WeftError as err:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{err.code}: {err.message}\n".encode())
        else:
            self._answer(HTTPStatus.OK, body, TYPES[form])

    def _answer(self, status: HTTPStatus, body: bytes, type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who scrapes does so every few seconds."""
