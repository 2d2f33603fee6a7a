"""Folders of the host for machines: one virtiofsd for each, that sees this folder and nothing else of the host.

It is who the folder belongs to where the daemon is root, else the daemon's user, and in a user namespace in which it is
root over what that user has, and over nothing else. Whatever a guest's users make in the folder belongs to that one.
Why it is built this way: docs/decisions/0017-volumes-and-folders.md.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.host.process import Latched, program, start_latched
from weft.host.sandbox import INSIDE, NAMESPACES, Identity, plan_usr
from weft.host.seccomp import Rule, open_filter
from weft.host.sockets import connect_pair
from weft.model.errors import Invalid, Unavailable

_PLACES = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
_FOLDER = INSIDE / "folder"
_CAPABILITIES = ("dac_override", "fowner", "fsetid", "setgid", "setuid")
_WITHOUT = ("chown", "mknod", "setfcap")
"""What virtiofsd would keep, and has no use for here."""
_SPECIAL_BITS = 0o6000
_OPENAT2 = 437
_WITH_MODE = {
    "open": (2, 2),
    "mkdir": (83, 1),
    "creat": (85, 1),
    "chmod": (90, 1),
    "fchmod": (91, 1),
    "mknod": (133, 1),
    "openat": (257, 3),
    "mkdirat": (258, 2),
    "mknodat": (259, 2),
    "fchmodat": (268, 2),
    "fchmodat2": (452, 2),
}
"""Number of a call that takes a mode, and which of its arguments that is."""
_SET_USER = {"setgroups": 116, "setresuid": 117, "setresgid": 119}

RULES = (
    # It would become the guest's user for each file that it makes. It stays who it is, and does not learn of it.
    *(Rule(number, 0) for number in _SET_USER.values()),
    # A guest must not leave a program behind that runs as the folder's owner for whoever starts it on the host.
    *(Rule(number, errno.EPERM, argument, _SPECIAL_BITS) for number, argument in _WITH_MODE.values()),
    Rule(_OPENAT2, errno.ENOSYS),  # its mode is out of a filter's sight
)


@dataclass(frozen=True, slots=True)
class FileServer:
    """A server held at its latch, and the end of its socket that is QEMU's; it ends when that is closed."""

    latched: Latched
    socket: int


def find_virtiofsd() -> str:
    """The program. Raises Unavailable."""
    for place in _PLACES:
        if os.access(place, os.X_OK):
            return place
    raise Unavailable(
        "virtiofsd is not installed: folders of the host cannot be shared", hint="install qemu-system-common"
    )


def check_folder(folder: Path) -> None:
    """Raises Invalid when there is no such folder, or it is not this user's to share."""
    if not folder.is_dir():
        raise Invalid(f"{folder} is not a folder of this host")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise Invalid(f"{folder} cannot be read by the user who runs the fabric")


def start_file_server(stack: ExitStack, folder: Path, socket: Path, *, read_only: bool, log: int) -> FileServer:
    """Start a server for `folder`, held; QEMU's end of the socket is open as long as `stack`.

    `socket` is a path to use for a moment, `log` gets the server's complaints. Raises Invalid, Unavailable.
    """
    check_folder(folder)
    listening, connected = connect_pair(socket)
    stack.callback(connected.close)
    with ExitStack() as own:
        own.callback(listening.close)
        filter_fd = open_filter(own, RULES)
        owner = find_owner(folder)
        argv = plan_file_server(folder, listening.fileno(), filter_fd, read_only=read_only, owner=owner)
        latched = start_latched(argv, fds=[listening.fileno(), filter_fd], stdout=log, stderr=log)
    return FileServer(latched, connected.fileno())


def find_owner(folder: Path) -> Identity | None:
    """Whom the server is to be: None leaves it the daemon's user, who can be nobody else."""
    if os.geteuid() != 0:
        return None
    state = folder.stat()
    return Identity(state.st_uid, state.st_gid)


def plan_file_server(
    folder: Path, listening: int, filter_fd: int, *, read_only: bool, owner: Identity | None = None
) -> list[str]:
    """The command line of a server behind its walls. The descriptors pass through under their numbers."""
    become = [] if owner is None or owner.uid == 0 else list(_plan_owner(owner))
    walls = [program("bwrap"), *NAMESPACES, "--unshare-net", "--unshare-user", "--uid", "0", "--gid", "0"]
    walls += ["--as-pid-1", "--clearenv", "--setenv", "LC_ALL", "C.UTF-8", "--cap-drop", "ALL"]
    for name in (*_CAPABILITIES, "setpcap", "sys_chroot"):
        walls += ["--cap-add", f"CAP_{name.upper()}"]
    walls += [*plan_usr(Path("/")), "--dev", "/dev", "--proc", "/proc"]
    walls += ["--ro-bind" if read_only else "--bind", str(folder), str(_FOLDER)]
    walls += ["--remount-ro", "/", "--seccomp", str(filter_fd), "--"]
    return [*become, *walls, *_plan_server(listening)]


def _plan_owner(owner: Identity) -> Iterator[str]:
    yield from (program("setpriv"), f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups")
    yield from ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")


def _plan_server(listening: int) -> Iterator[str]:
    yield from (find_virtiofsd(), "-f", f"--fd={listening}", "-o", f"source={_FOLDER}")
    yield from ("-o", "sandbox=chroot", "-o", f"modcaps={':'.join('-' + name for name in _WITHOUT)}")
    # What the host changes is seen within a second; memory-mapped files work; no second copy is written back later.
    yield from ("-o", "cache=auto", "-o", "no_xattr", "-o", "log_level=warn")
