"""What copies of machines are called and asked to be."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Exists
from weft.model.machine import MachineRestart, MachineSpec, NicSpec
from weft.model.mount import MountKind, MountSpec
from weft.model.names import parse_name
from weft.model.publish import PublishSpec
from weft.plan.forks import plan_copy, plan_names, plan_volume_names, written_volumes

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


def volume(source: str, target: str, *, read_only: bool = False) -> MountSpec:
    return MountSpec(kind=MountKind.VOLUME, source=source, target=target, read_only=read_only)


def test_copies_are_numbered_and_what_is_taken_is_passed_over() -> None:
    assert plan_names("web", None, 3, {"web", "web-fork-2"}) == ["web-fork-1", "web-fork-3", "web-fork-4"]
    assert plan_names("web", "api", 3, {"web", "api-2"}) == ["api", "api-3", "api-4"]
    with pytest.raises(Exists, match="'api' exists already"):
        plan_names("web", "api", 1, {"api"})


@given(names, st.none() | names, st.integers(1, 30), st.sets(names, max_size=5))
def test_names_are_valid_free_and_distinct(original: str, wanted: str | None, count: int, taken: set[str]) -> None:
    given = plan_names(original, wanted, count, taken - {wanted or ""})
    assert len(set(given)) == count
    assert [parse_name(name) for name in given] == given
    assert not set(given) & (taken - {wanted or ""})


@given(st.lists(names, unique=True, max_size=4), names, st.sets(names, max_size=4))
def test_copies_of_volumes_have_names_of_their_own(volumes: list[str], copy: str, taken: set[str]) -> None:
    given = plan_volume_names(volumes, copy, {*taken, *volumes})
    assert list(given) == volumes
    assert len(set(given.values())) == len(volumes)
    assert not set(given.values()) & {*taken, *volumes}
    assert [parse_name(name) for name in given.values()] == list(given.values())


def test_a_copy_is_asked_to_be_the_same_but_for_what_is_one_machines_only() -> None:
    nics = (NicSpec(network="lan"),)
    ports = (PublishSpec(guest_port=80), PublishSpec(guest_port=443, host_port=8443))
    mounts = (volume("data", "/data"), volume("site", "/srv", read_only=True), volume("data", "/more"))
    spec = MachineSpec(
        name="db",
        image="base",
        nics=(NicSpec(network="lan", address=IPv4Address("10.0.0.9"), mac="52:57:00:00:00:01"),),
        hostname="db.example",
        labels={"tier": "back"},
        restart=MachineRestart.ALWAYS,
        publish=ports,
        mounts=mounts,
        floppy="/floppies/db.img",
    )
    assert written_volumes(spec) == ["data"]
    copy = plan_copy(spec, "db-2", nics, {"data": "db-2-data"}, remove=True)
    assert (copy.name, copy.hostname, copy.nics, copy.floppy, copy.remove) == ("db-2", None, nics, None, True)
    assert (copy.labels, copy.restart, copy.image) == (spec.labels, spec.restart, spec.image)
    assert copy.publish == ports[:1]
    assert [mount.source for mount in copy.mounts] == ["db-2-data", "site", "db-2-data"]
    assert plan_copy(spec, "db-3", (NicSpec(),), {}, remove=False).publish == ()
