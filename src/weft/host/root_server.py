"""Roots for diskless machines: one walled server for each machine, and one porter at each gateway that leads to them.

A server has no network and sees the machine's files alone; it is who these belong to. Connections reach it by a socket
that is called as the machine's address. Both outlive the daemon. Why it is built this way:
docs/decisions/0045-plan9-roots.md.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from weft import ninep
from weft.host import porter
from weft.host.file_server import check_folder, find_owner
from weft.host.namespace import Namespace
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.host.process import start_latched
from weft.host.records import find_record, write_record
from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.host.sockets import short_path
from weft.host.walled_python import plan_walled
from weft.model.errors import Unavailable

_WRITE_BACK = 5.0
"""Seconds for a server to let go of what it has open."""


@dataclass(frozen=True, slots=True)
class SharedRoot:
    """An image's pack, and the folder with what one machine has changed of it, of at most `limit` bytes. `owner` is
    wanted when the daemon is root.
    """

    pack: Path
    changes: Path
    limit: int
    owner: Identity | None

    def plan(self) -> tuple[list[str], list[Bind]]:
        pack, changes = Bind(self.pack, "root.p9"), Bind(self.changes, "changes", writable=True)
        return ["overlay", str(pack.inside), str(changes.inside), str(self.limit)], [pack, changes]

    def prepare(self) -> None:
        """Have the folder, for its owner only."""
        self.changes.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.owner is not None:
            os.chown(self.changes, self.owner.uid, self.owner.gid)


@dataclass(frozen=True, slots=True)
class FolderRoot:
    """A folder of the host. Where the daemon is root, its owner serves it."""

    folder: Path
    read_only: bool

    @property
    def owner(self) -> Identity | None:
        return find_owner(self.folder)

    def plan(self) -> tuple[list[str], list[Bind]]:
        folder = Bind(self.folder, "root", writable=not self.read_only)
        return ["folder", str(folder.inside), "ro" if self.read_only else "rw"], [folder]

    def prepare(self) -> None:
        """Raises Invalid: it is not there."""
        check_folder(self.folder)


@dataclass(frozen=True, slots=True)
class Servant:
    """A running server or porter. `process` is the wall's watcher, the program its one child, which gets so many
    seconds to end by itself.
    """

    process: ProcessId
    record: Path
    patience: float = 0.0

    def watch(self) -> ExitWatch:
        return watch_exit(self.process)

    async def stop(self) -> None:
        """Have it end, with all its connections."""
        await stop_processes([*self.process.children(), self.process], term_for=self.patience)
        self.record.unlink(missing_ok=True)


def find_root_server(record: Path) -> Servant | None:
    """The living server on record."""
    found = find_record(record)
    return Servant(found[0], record, _WRITE_BACK) if found else None


def find_porter(record: Path) -> Servant | None:
    """The living porter on record."""
    found = find_record(record)
    return Servant(found[0], record) if found else None


def start_root_server(
    record: Path, root: SharedRoot | FolderRoot, door: Path, porter: Identity | None, doors: Sequence[Path] = ()
) -> Servant:
    """Serve a root to whom a porter hands over at `door`, a socket that only `porter` may use.

    What comes before it is up waits there. `doors` are those of the control group that it is to be in. Raises
    Unavailable, Invalid; it has no record then.
    """
    root.prepare()
    with ExitStack() as stack:
        control = stack.enter_context(_open_door(door, porter))
        log = _open_log(stack, record)
        words, files = root.plan()
        argv, code = plan_walled(ninep, [str(control.fileno()), *words], module="root_server")
        walls = plan_sandbox(argv, binds=[*code, *files], identity=root.owner)
        latched = start_latched(walls, fds=[control.fileno()], doors=doors, stdout=log, stderr=log)
    write_record(record, latched.process)
    latched.release()
    return Servant(latched.process, record, _WRITE_BACK)


def start_porter(
    namespace: Namespace,
    record: Path,
    listener: socket.socket,
    folder: Path,
    identity: Identity | None,
    doors: Sequence[Path] = (),
) -> Servant:
    """Lead whoever comes to `listener`, which is the namespace's, to the servers whose doors are in `folder`."""
    inside = Bind(folder, "doors")
    with ExitStack() as stack:
        log = _open_log(stack, record)
        argv, code = plan_walled(porter, [str(listener.fileno()), str(inside.inside)])
        walls = plan_sandbox(argv, binds=[*code, inside], identity=identity, share_net=True)
        latched = start_latched(namespace.argv(walls), fds=[listener.fileno()], doors=doors, stdout=log, stderr=log)
    write_record(record, latched.process, namespace=namespace.mark)
    latched.release()
    return Servant(latched.process, record)


def _open_door(door: Path, porter: Identity | None) -> socket.socket:
    """The socket at which a server is handed connections; an older one in its place goes."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        door.unlink(missing_ok=True)
        with short_path(door) as address:
            sock.bind(address)
        door.chmod(0o600)
        if porter is not None:
            os.chown(door, porter.uid, porter.gid)
    except OSError as err:
        sock.close()
        with suppress(OSError):
            door.unlink(missing_ok=True)
        raise Unavailable(f"cannot listen at {door}: {err.strerror}") from err
    return sock


def _open_log(stack: ExitStack, record: Path) -> int:
    """What it complains about is beside its record."""
    log = os.open(record.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, log)
    return log
