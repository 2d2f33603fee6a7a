"""What a fabric file names in a room: kept on record, so that the next one is known to name it no more. Pure."""

from pydantic import BaseModel, ConfigDict, Field

from weft.model.fabric_file import RoomFile
from weft.model.mount import MountKind


class Named(BaseModel):
    """Names of a room's parts; those of machines and inserts with the names of the settings that the file gave them.

    `volumes` are those with an entry of their own, `mounted` those that machines name.
    """

    model_config = ConfigDict(frozen=True)

    networks: tuple[str, ...] = ()
    machines: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    inserts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()


def name_parts(room: RoomFile) -> Named:
    """What a file names in a room."""
    mounts = [mount for machine in room.machines.values() for mount in machine.volumes]
    return Named(
        networks=tuple(room.networks),
        machines={name: tuple(machine.settings) for name, machine in room.machines.items()},
        inserts={name: tuple(insert.settings) for name, insert in room.inserts.items()},
        volumes=tuple(room.volumes),
        pools=tuple(room.pool),
        mounted=tuple(dict.fromkeys(mount.source for mount in mounts if mount.kind is MountKind.VOLUME)),
    )


def join_named(one: Named, other: Named) -> Named:
    """What either names: what may be there while one is on its way to the other."""
    return Named(
        networks=_join(one.networks, other.networks),
        machines=_join_settings(one.machines, other.machines),
        inserts=_join_settings(one.inserts, other.inserts),
        volumes=_join(one.volumes, other.volumes),
        pools=_join(one.pools, other.pools),
        mounted=_join(one.mounted, other.mounted),
    )


def _join(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*one, *other]))


def _join_settings(one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: _join(one.get(name, ()), other.get(name, ())) for name in {**one, **other}}
