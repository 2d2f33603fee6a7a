"""The walls around QEMU and other programs that guests talk to: they see only what they were given.

Inside there is the host's /usr, read-only, a bare /dev, and the machine's own files under /machine; no network, no
process but itself, no capability. Why it is built this way: docs/decisions/0004-sandbox.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host.process import program

INSIDE = Path("/machine")
"""Where a machine's files are, seen from inside."""

_USR_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_NOBODY = 65534
NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try")


@dataclass(frozen=True, slots=True)
class Bind:
    """A file of the host given to a machine: it appears as /machine/NAME, where that may be a path."""

    source: Path
    name: str
    writable: bool = False

    @property
    def inside(self) -> Path:
        return INSIDE / self.name


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom QEMU runs as when the daemon is root: a uid and gid of its own, and groups for devices."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def plan_sandbox(
    argv: Sequence[str],
    *,
    binds: Sequence[Bind] = (),
    devices: Sequence[Path] = (),
    identity: Identity | None = None,
    share_net: bool = False,
    proc: bool = False,
    filter_fd: int | None = None,
    host_root: Path = Path("/"),
) -> list[str]:
    """The command line that runs `argv` inside the walls; descriptors pass through under their numbers.

    `devices` are nodes such as /dev/kvm. `identity` is wanted when the daemon is root; otherwise the program keeps
    the daemon's user, which a user namespace shows it as nobody. `share_net` leaves it in the network namespace it
    is started in. `proc` shows it the processes of its own namespace: itself, and what it starts. `filter_fd` is
    open on a filter of system calls. `host_root` is where /usr is looked at.
    """
    command = [program("bwrap"), *NAMESPACES, *([] if share_net else ["--unshare-net"])]
    command += [] if identity else ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    command += ["--as-pid-1", "--clearenv", "--setenv", "LC_ALL", "C.UTF-8"]
    command += ["--cap-drop", "ALL", *_setuid_capabilities(identity), *plan_usr(host_root)]
    command += ["--dev", "/dev", *(["--proc", "/proc"] if proc else []), "--dir", str(INSIDE)]
    for device in devices:
        command += ["--dev-bind", str(device), str(device)]
    for bind in binds:
        command += _plan_way(bind)
        command += ["--bind" if bind.writable else "--ro-bind", str(bind.source), str(bind.inside)]
    command += [] if filter_fd is None else ["--seccomp", str(filter_fd)]
    return [*command, "--chdir", str(INSIDE), "--remount-ro", "/", "--", *_plan_identity(identity), *argv]


def plan_usr(host_root: Path) -> list[str]:
    """/usr and what the host has beside it: links into it, or directories of their own before the merge."""
    command = ["--ro-bind", "/usr", "/usr"]
    for name in _USR_LINKS:
        path = host_root / name
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), f"/{name}"]
        elif path.is_dir():
            command += ["--ro-bind", f"/{name}", f"/{name}"]
    # Made explicitly, since what bwrap makes on the way to a file only root may search.
    return [*command, "--dir", "/etc", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]


def _plan_way(bind: Bind) -> list[str]:
    """Folders on the way to what is given, made explicitly like /etc."""
    between = [folder for folder in reversed(bind.inside.parents) if INSIDE in folder.parents]
    return [word for folder in between for word in ("--dir", str(folder))]


def _setuid_capabilities(identity: Identity | None) -> list[str]:
    """What setpriv needs to become somebody else, and loses with it."""
    needed = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") if identity else ()
    return [word for capability in needed for word in ("--cap-add", capability)]


def _plan_identity(identity: Identity | None) -> list[str]:
    if identity is None:
        return []
    groups = f"--groups={','.join(map(str, identity.groups))}" if identity.groups else "--clear-groups"
    ids = [f"--reuid={identity.uid}", f"--regid={identity.gid}", groups]
    return ["/usr/bin/setpriv", *ids, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
