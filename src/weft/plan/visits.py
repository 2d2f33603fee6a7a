"""What a machine may ask of the API that was given a part of the file tree. Pure.

What is not of its part is not there for it. What is may be looked at and, unless the part is to look at only, changed;
but a room has what its host has given it, and a machine of the room gives it no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weft.model.errors import Forbidden, NotFound
from weft.model.expose import TreePart, Visit
from weft.model.machine import MachineSpec
from weft.model.mount import MountKind
from weft.model.names import DEFAULT_ROOM
from weft.model.network import NetworkSpec
from weft.model.trace import TraceRequest
from weft.plan.tracing.ends import parse_end

_API = "v1"
_OF_A_MACHINE = frozenset(
    {
        *("start", "stop", "restart", "kill", "wait", "scale", "fork", "suspend", "resume", "config", "reset"),
        *("logs", "console", "display", "exec", "file", "archive", "sniff", "elastic", "history", "processes"),
        "firewall",
    }
)
_OF_A_ROOM: Mapping[str, frozenset[str]] = {
    "machines": _OF_A_MACHINE,
    "networks": frozenset({"sniff"}),
    "snapshots": frozenset({"archive", "restore"}),
    **dict.fromkeys(("stats", "logs", "inserts", "ports", "volumes", "trace", "events"), frozenset()),
}
"""What a room has for itself, and what there is about one of each. Templates, where a room is not strict, are
everybody's; archives of snapshots are not taken in, since a spec in one may say anything."""
_POOLS = "pools"
"""A room's own, too; they are called like images, whose names may have slashes."""
_ABOUT_A_MACHINE = frozenset({"stats", "events", "ports"})
"""What can be asked about one machine, by the query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path by its parts, percent-decoded. `session`: it goes on both ways, and may do anything there."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, Sequence[str]]
    session: bool = False

    @property
    def only_looks(self) -> bool:
        """Whether nothing is another afterwards. A sniff slips something in."""
        return self.method == "GET" and not self.session and self.path[-1] != "sniff"


def check_request(visit: Visit, asked: Asked) -> None:
    """Raises NotFound for what is not of its part, Forbidden for what it may not do to it."""
    if visit.given.part is not TreePart.FABRIC and not _is_within(visit, asked):
        raise NotFound(f"nothing is there for machine {visit.machine!r}")
    if visit.given.read_only and not asked.only_looks:
        raise Forbidden(f"machine {visit.machine!r} may look at this, and change nothing")


def _is_within(visit: Visit, asked: Asked) -> bool:
    if asked.path == (_API, "files", "export", visit.room):
        return visit.given.part is TreePart.ROOM and asked.method == "GET"
    path = _find_way(visit, asked.path)
    if path is None:
        return False
    if visit.given.part is TreePart.ROOM:
        return _is_of_room(path, asked)
    return _is_of_machine(visit.machine, path, asked)


def _find_way(visit: Visit, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path within the visit's room; None: it leads elsewhere."""
    if path[:3] == (_API, "rooms", visit.room):
        return path[3:]
    if path[:1] == (_API,) and path[1:2] != ("rooms",) and visit.room == DEFAULT_ROOM:
        return path[1:]
    return None


def _is_of_room(path: tuple[str, ...], asked: Asked) -> bool:
    if not path:
        return asked.method == "GET"
    if "all_rooms" in asked.query:
        return False
    about = _OF_A_ROOM.get(path[0])
    return path[0] == _POOLS or (about is not None and path[1:2] != ("import",) and set(path[2:3]) <= about)


def _is_of_machine(name: str, path: tuple[str, ...], asked: Asked) -> bool:
    """All that is about this machine, but its spec, its copies and its being there, which are its room's."""
    if path[:2] == ("machines", name):
        return path[2:3] != ("fork",) and set(path[2:3]) <= _OF_A_MACHINE and (len(path) > 2 or asked.method == "GET")
    about = list(asked.query.get("machine", ())) == [name] and "all_rooms" not in asked.query
    return len(path) == 1 and path[0] in _ABOUT_A_MACHINE and asked.method == "GET" and about


def check_machine(visit: Visit, spec: MachineSpec, before: MachineSpec | None = None) -> None:
    """Raises Forbidden for what would give the room more of its host than it has. `before`: it has that already."""
    if visit.given.part is TreePart.FABRIC:
        return
    had = set(_find_beyond(before)) if before else set()
    if more := [what for what in _find_beyond(spec) if what not in had]:
        raise Forbidden(f"machine {visit.machine!r} cannot give {more[0]}")


def check_network(visit: Visit, spec: NetworkSpec) -> None:
    """The same of a network. Raises Forbidden."""
    if spec.uplink and visit.given.part is not TreePart.FABRIC:
        raise Forbidden(f"machine {visit.machine!r} cannot give a way out of the room")


def check_trace(visit: Visit, request: TraceRequest) -> None:
    """The same of a trace: it begins in the room, or in what is its own of it. Raises NotFound, Invalid."""
    if visit.given.part is TreePart.FABRIC:
        return
    ends = parse_end(request.source), parse_end(request.destination)
    if ends[0].is_outside or any(end.room not in (None, visit.room) for end in ends):
        raise NotFound(f"machine {visit.machine!r} sees no further than its room")


def _find_beyond(spec: MachineSpec) -> Iterator[str]:
    """What a machine has of its host, in words."""
    yield from (f"folder {mount.source} of the host" for mount in spec.mounts if mount.kind is MountKind.HOST)
    yield from (f"port {port.host_port or 'any'} of the host to {port.guest_port}" for port in spec.publish)
    yield from (f"part {given} of the file tree" for given in spec.expose)
    files = [spec.floppy]
    if (foreign := spec.foreign) is not None:
        root = foreign.plan9.root if foreign.plan9 else None
        files += [*foreign.cdroms, foreign.floppy_drive, *foreign.disks, *foreign.boot_files, root]
    yield from (f"file {file} of the host" for file in files if file is not None)
