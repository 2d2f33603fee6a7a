"""From any room to any file: every plan can be carried out in any order that it allows, and leaves nothing to do."""

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.paper_rooms import PaperRooms

from weft.model.fabric_file import FabricFile
from weft.model.insert import InsertState
from weft.model.machine import State
from weft.model.problem import find_errors
from weft.model.steps import Plan, Step
from weft.plan.changes.changes import plan_changes
from weft.plan.changes.export import export_rooms
from weft.plan.changes.state import RoomNow
from weft.plan.fabric_file.check import check_file
from weft.plan.fabric_file.write import dump_file, dump_yaml

NETWORKS = ("a", "b", "c")
MACHINES = ("k", "m", "n")
INSERTS = ("i", "j", "m-2", "n")
VOLUMES = ("u", "v")


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def some(names: tuple[str, ...], parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), parts, max_size=len(names))


NETWORK = optional(
    subnet=st.sampled_from(["10.1.0.0/24", "10.1.0.0/25", "10.2.0.0/24", "10.87.0.0/24"]),
    subnet6=st.sampled_from(["fd00:1::/64", "fd00:2::/64"]),
    mtu=st.sampled_from([1400, 1500]),
    uplink=st.booleans(),
    gateway=st.sampled_from(MACHINES),
    dns=st.sampled_from([["10.1.0.9"], ["9.9.9.9"]]),
)
NIC = st.fixed_dictionaries(
    {"network": st.sampled_from([*NETWORKS, "default"])},
    optional={
        "address": st.sampled_from(["10.1.0.2", "10.1.0.3", "10.2.0.2", "10.2.0.9"]),
        "mac": st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]),
        "pinned": st.booleans(),
    },
)
MACHINE = st.fixed_dictionaries(
    {"image": st.sampled_from(["base", "web", "gate", "docker.io/library/nginx:1", "docker.io/library/other"])},
    optional={
        "networks": st.lists(NIC, max_size=2),
        "memory": st.sampled_from(["64M", "128M", "64M..1G", "128M..2G", "..1G"]),
        "cpus": st.sampled_from([2, "1..4", "..4", "2..4"]),
        "elastic": st.sampled_from([True, False, "manual", "auto", {}, {"mode": "manual"}, {"down_after": "1m"}]),
        "profile": st.sampled_from(["microvm", "q35"]),
        "labels": st.just({"a": "1"}),
        "limits": st.sampled_from([None, {"cpu_weight": 300}, {"disk_read": "10M", "net_in": "1M"}]),
        "fabric": st.sampled_from([None, {"expose": ["room"]}, {"expose": ["machine:ro", "room"]}]),
        "publish": st.lists(st.sampled_from(["8080:80", "8081:80", "80"]), max_size=1),
        "volumes": st.lists(st.sampled_from(["u:/u", "v:/v", "v:/w"]), max_size=1),
        "settings": st.sampled_from([{"mode": "shut"}, {"names": "a, b"}, {"lan": {"mtu": 1400}}]),
        "after": st.lists(st.sampled_from(MACHINES), max_size=1),
        "state": st.sampled_from(["running", "stopped"]),
    },
)
INSERT = st.fixed_dictionaries(
    {
        "appliance": st.sampled_from(["sniffer", "wall"]),
        "before": st.sampled_from(["k", "m", "m:1", "n", "network:a", "network:b"]),
    },
    optional={
        "mode": st.sampled_from(["inline", "copy"]),
        "fail": st.sampled_from(["open", "closed"]),
        "at": st.integers(0, 2),
        "for": st.sampled_from(["1h", "2h"]),
        "memory": st.sampled_from(["64M", "128M"]),
        "cold": st.booleans(),
    },
)
POOL = st.fixed_dictionaries(
    {"size": st.integers(1, 3)}, optional={"memory": st.sampled_from(["64M", "128M"]), "cpus": st.integers(1, 2)}
)
ROOM = st.fixed_dictionaries(
    {"networks": some(NETWORKS, NETWORK), "machines": some(MACHINES, MACHINE)},
    optional={
        "description": st.just("some room"),
        "isolation": st.sampled_from(["normal", "strict"]),
        "resources": optional(memory=st.sampled_from(["64M", "1G"]), max_cpus=st.sampled_from([0.5, 2])),
        "inserts": some(INSERTS, INSERT),
        "volumes": some(VOLUMES, optional(size=st.sampled_from(["64M", "128M"]))),
        "pool": some(("base", "sniffer", "docker.io/library/nginx:1"), POOL),
    },
)


def make_good(room: dict[str, Any]) -> FabricFile | None:
    """A file with what of a room is right: parts that a check finds wrong are left out, until it finds nothing."""
    for _ in range(20):
        file = FabricFile.model_validate({"rooms": {"r": room}})
        reading = check_file(dump_yaml(dump_file(file, defaults=False)), "/", PaperRooms())
        if not [problem for problem in reading.problems if problem.severity == "error"]:
            return reading.file if is_known(reading.file) else None
        for problem in reading.problems:
            steps = problem.where.replace("[", ".").replace("]", "").split(".")
            room = leave_out(room, steps[2:])
    return None


def is_known(file: FabricFile) -> bool:
    """Whether it is known which NICs machines have: an insert at one that is not there is found out too late."""
    machines = [machine for room in file.rooms.values() for machine in room.machines.values()]
    return all(machine.networks is not None or PaperRooms().find_image(machine.image_name) for machine in machines)


def leave_out(room: dict[str, Any], steps: list[str]) -> dict[str, Any]:
    """A room without the part that a problem is about: the field of a part, or the whole of it."""
    kind, name, *fields = steps if len(steps) > 1 else [*steps, "", ""]
    parts = room.get(kind, {})
    if name not in parts:
        return {key: value for key, value in room.items() if key != kind}
    part = parts[name]
    if fields and fields[0] in part and fields[0] not in ("image", "appliance", "before"):
        rest = {**parts, name: {key: value for key, value in part.items() if key != fields[0]}}
    else:
        rest = {key: value for key, value in parts.items() if key != name}
    return {**room, kind: rest}


FILES = ROOM.map(make_good).filter(lambda file: file is not None)


def shuffled(seed: int) -> Any:
    """Any order of steps."""

    def order(steps: tuple[Step, ...]) -> list[Step]:
        return Random(seed).sample(steps, len(steps))

    return order


def disturb(rooms: PaperRooms, random: Random) -> None:
    """Machines fail, inserts hang, images are built anew."""
    for name, room in rooms.rooms.items():
        machines = {
            key: replace(
                machine,
                state=random.choice([machine.state, State.FAILED, State.STOPPED]),
                outdated=random.choice([True, False]) and machine.state.is_live,
            )
            for key, machine in room.machines.items()
        }
        inserts = {
            key: replace(insert, state=random.choice([InsertState.ACTIVE, InsertState.BYPASSED]))
            for key, insert in room.inserts.items()
        }
        rooms.rooms[name] = replace(room, machines=machines, inserts=inserts)


def check_order(plan: Plan) -> None:
    """Every step comes after those that it waits for."""
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.after) <= seen
        assert step.why
        seen.add(step.key)


@given(FILES, FILES, st.integers(0, 2**32), st.booleans())
@settings(max_examples=25)
def test_from_any_room_to_any_file(one: FabricFile, other: FabricFile, seed: int, disturbed: bool) -> None:
    rooms, random = PaperRooms(), Random(seed)
    for file in (one, other):
        plan = rooms.plan(file)
        check_order(plan)
        rooms.apply(file, order=shuffled(seed))
        assert rooms.plan(file).steps == ()
        if disturbed:
            disturb(rooms, random)
    rooms.apply(other, order=shuffled(seed))
    assert rooms.plan(other).steps == ()


@given(FILES, FILES, st.integers(0, 2**32))
@settings(max_examples=20)
def test_what_fails_in_the_middle_is_gone_on_with(one: FabricFile, other: FabricFile, seed: int) -> None:
    rooms, random = PaperRooms(), Random(seed)
    rooms.apply(one)
    for _ in range(2):
        steps = rooms.plan(other).steps
        failing = [step.key for step in steps if random.random() < 0.3]
        rooms.apply(other, failing, order=shuffled(seed))
    rooms.apply(other, order=shuffled(seed))
    assert rooms.plan(other).steps == ()
    if not rooms.plan(other).notes:
        rooms.apply(FabricFile(), order=shuffled(seed))
        assert rooms.plan(FabricFile()).steps == ()


@given(FILES, st.integers(0, 2**32), st.booleans())
@settings(max_examples=20)
def test_there_is_nothing_to_do_for_what_is_exported(file: FabricFile, seed: int, exact: bool) -> None:
    rooms, random = PaperRooms(), Random(seed)
    rooms.apply(file)
    if random.random() < 0.5:
        disturb(rooms, random)
    rooms.rooms = {name: calm(room) for name, room in rooms.rooms.items()}
    text = export_rooms(rooms.rooms.values(), rooms, exact=exact)
    reading = check_file(text, "/", rooms)
    assert find_errors(reading.problems) == []
    assert plan_changes(reading.file, rooms.rooms, rooms).steps == ()
    assert rooms.plan(reading.file).steps == ()


def calm(room: RoomNow) -> RoomNow:
    """A room in which no insert is to be put right, which an export does not hide."""
    inserts = {key: replace(insert, state=InsertState.ACTIVE) for key, insert in room.inserts.items()}
    return replace(room, inserts=inserts)
