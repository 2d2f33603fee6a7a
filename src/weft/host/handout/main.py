"""The process. Arguments: the listening descriptor, that of a packet socket, the folder with a folder for each address,
and the folder with a file for each machine, which is called by its hardware address.
"""

import os
import shutil
import socket
import stat
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from .routers import answer_for_ever

MOST_EACH = 8
"""Connections that one address may have: each is a thread."""
SILENCE = 30.0
"""Seconds after which a connection ends on which nothing happens."""


def find_file(folder: Path, address: str, target: str) -> Path | None:
    """The file that a request of this address is for; None: there cannot be one."""
    parts = unquote(urlsplit(target).path, errors="replace").split("/")[1:]
    if not parts or any(part in ("", ".", "..") or "\0" in part for part in parts):
        return None
    return folder.joinpath(address, *parts)


def open_plain(path: Path) -> BinaryIO | None:
    """A regular file; None: it is not there, or something else, which is not waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return os.fdopen(fd, "rb")


class Answer(BaseHTTPRequestHandler):
    """Answers to one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "weft", ""
    timeout = SILENCE
    server: "Server"

    def do_GET(self) -> None:
        """The file's content."""
        if (file := self._open()) is not None:
            with file:
                shutil.copyfileobj(file, self.wfile, 1 << 16)

    def do_HEAD(self) -> None:
        """Its size alone."""
        if (file := self._open()) is not None:
            file.close()

    def _open(self) -> BinaryIO | None:
        path = find_file(self.server.folder, self.client_address[0], self.path)
        file = open_plain(path) if path else None
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        return file

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what machines ask for would fill the disk."""


class Server(ThreadingHTTPServer):
    """One thread for each connection, and so many of each address."""

    def __init__(self, listener: socket.socket, folder: Path) -> None:
        super().__init__(("", 0), Answer, bind_and_activate=False)
        self.socket.close()
        self.socket, self.folder = listener, folder
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        """Whether it may have another connection."""
        with self._lock:
            return self._held[client_address[0]] < MOST_EACH

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection to a thread."""
        self._count(client_address[0], 1)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._count(client_address[0], -1)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection from its beginning to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count(client_address[0], -1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone, or has said nothing for too long, which is all one to us; else it is in the log."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def _count(self, address: str, change: int) -> None:
        with self._lock:
            self._held[address] += change
            if not self._held[address]:
                del self._held[address]


def is_known(hosts: Path, mac: str) -> bool:
    """Whether a machine with this hardware address is to boot."""
    return (hosts / f"m{mac.replace(':', '')}").exists()


def main(words: Sequence[str]) -> None:
    """Hand out for ever."""
    listener, packets = (socket.socket(fileno=int(word)) for word in words[:2])
    files, hosts = map(Path, words[2:])
    known = partial(is_known, hosts)
    threading.Thread(target=answer_for_ever, args=(packets, known), daemon=True).start()
    Server(listener, files).serve_forever()
