"""What the copies of machines are called, and what they are asked to be. Pure."""

import itertools
from collections.abc import Collection, Mapping, Sequence

from weft.model.errors import Exists
from weft.model.machine import MachineSpec, NicSpec
from weft.model.mount import MountKind, MountSpec

MOST = 63
"""Letters of a name."""


def plan_names(original: str, wanted: str | None, count: int, taken: Collection[str]) -> list[str]:
    """Names of copies: `api`, `api-2`, … where one is wanted, else `web-fork-1`, `web-fork-2`, … that are free.

    Raises Exists when somebody has the name that is wanted.
    """
    if wanted in taken:
        raise Exists(f"machine {wanted!r} exists already")
    first = [] if wanted is None else [wanted]
    stem, begin = (f"{original}-fork", 1) if wanted is None else (wanted, 2)
    numbered = (_shorten(stem, f"-{number}") for number in itertools.count(begin))
    free = (name for name in numbered if name not in taken)
    return [*first, *itertools.islice(free, count - len(first))]


def plan_volume_names(volumes: Sequence[str], copy: str, taken: Collection[str]) -> dict[str, str]:
    """Free names for copies of volumes, that say whose they are: `data` of the copy `api` is `api-data`."""
    given: dict[str, str] = {}
    for volume in volumes:
        name = _shorten(f"{copy}-{volume}", "")
        again = (_shorten(name, f"-{number}") for number in itertools.count(2))
        used = {*taken, *given.values()}
        given[volume] = next(one for one in itertools.chain([name], again) if one not in used)
    return given


def plan_copy(
    spec: MachineSpec, name: str, nics: Sequence[NicSpec], volumes: Mapping[str, str], *, remove: bool
) -> MachineSpec:
    """What a copy of a machine in its own room is asked to be: the same but for what can be one machine's only.

    Of published ports those stay for which any port of the host will do. `volumes`: the copies of those it writes to.
    """
    return spec.model_copy(
        update={
            "name": name,
            "hostname": None,
            "nics": tuple(nics),
            "publish": tuple(port for port in spec.publish if port.host_port is None and _is_reached(nics)),
            "expose": spec.expose if _is_reached(nics) else (),
            "mounts": tuple(_copy_mount(mount, volumes) for mount in spec.mounts),
            "floppy": None,
            "remove": remove,
        }
    )


def written_volumes(spec: MachineSpec) -> list[str]:
    """The volumes that a machine writes to, each once."""
    written = (mount.source for mount in spec.mounts if mount.kind is MountKind.VOLUME and not mount.read_only)
    return list(dict.fromkeys(written))


def _copy_mount(mount: MountSpec, volumes: Mapping[str, str]) -> MountSpec:
    if mount.kind is not MountKind.VOLUME or mount.source not in volumes:
        return mount
    return mount.model_copy(update={"source": volumes[mount.source]})


def _is_reached(nics: Sequence[NicSpec]) -> bool:
    return any(nic.network is not None for nic in nics)


def _shorten(stem: str, end: str) -> str:
    """`stem` and `end`, the former cut where both are too long for a name."""
    return stem[: MOST - len(end)].rstrip("-") + end
