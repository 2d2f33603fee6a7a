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
from weft.host.process import start_latched
from weft.host.records import write_record
from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.host.servants import Servant
from weft.host.sockets import short_path
from weft.host.walled_python import plan_walled
from weft.model.errors import Unavailable

WRITE_BACK = 5.0
"""Seconds for a server to let go of what it has open."""


@dataclass(frozen=True, slots=True)
class SharedRoot:
    """An image's pack in a machine's folder, and the folder with what the machine has changed of it, of at most `limit`
    bytes. `image` is where the pack is linked from unless it is there. `owner` is wanted when the daemon is root.
    """

    image: Path
    pack: Path
    changes: Path
    limit: int
    read_only: bool
    owner: Identity | None

    def plan(self) -> tuple[list[str], list[Bind]]:
        pack, changes = Bind(self.pack, "root.p9"), Bind(self.changes, "changes", writable=True)
        return ["overlay", str(pack.inside), str(changes.inside), str(self.limit), _access(self)], [pack, changes]

    def prepare(self) -> None:
        """Have both, the changes for their owner only. Raises Unavailable."""
        try:
            self.changes.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.owner is not None:
                os.chown(self.changes, self.owner.uid, self.owner.gid)
            if not self.pack.exists():
                os.link(self.image, self.pack)
        except OSError as err:
            raise Unavailable(f"cannot prepare {self.changes}: {err.strerror}") from err


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
        return ["folder", str(folder.inside), _access(self)], [folder]

    def prepare(self) -> None:
        """Raises Invalid: it is not there."""
        check_folder(self.folder)


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
    return Servant(latched.process, record)


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


def _access(root: SharedRoot | FolderRoot) -> str:
    return "ro" if root.read_only else "rw"


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
