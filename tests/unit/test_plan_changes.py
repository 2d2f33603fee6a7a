"""From rooms as they are to what a file says: which steps, in which order, and why."""

import textwrap
from ipaddress import IPv4Address

import pytest
from tests.unit.paper_rooms import PaperRooms

from weft.model.fabric_file import FabricFile
from weft.model.steps import Plan
from weft.plan.changes.changes import plan_down
from weft.plan.changes.difference import dump_differences, find_differences
from weft.plan.fabric_file.check import check_file

ACME = """
networks:
  wan: { uplink: true }
  lan: { subnet: 10.20.1.0/24, gateway: fw }
machines:
  fw: { image: gate, networks: [wan, lan], settings: { names: "a, b" }, publish: ["8080:80"] }
  web: { image: web, networks: { lan: 10.20.1.10 }, volumes: ["data:/srv"] }
  job: { image: base, networks: [lan], after: web }
inserts:
  tap: { appliance: sniffer, before: web, mode: copy }
  wall: { appliance: wall, before: network:wan, settings: { mode: shut } }
volumes:
  data: 64M
"""


def read(body: str, name: str = "acme") -> FabricFile:
    """A file with one room."""
    text = f"rooms:\n  {name}:\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    reading = check_file(text, "/", PaperRooms())
    assert reading.problems == []
    return reading.file


@pytest.fixture
def rooms() -> PaperRooms:
    """The room as the file says."""
    paper = PaperRooms()
    paper.apply(read(ACME))
    return paper


def keys(plan: Plan) -> list[str]:
    """Steps without their room."""
    return [step.key.removeprefix("acme/") for step in plan.steps]


def why(plan: Plan, key: str) -> tuple[str, ...]:
    """The reasons for a step."""
    return next(step.why for step in plan.steps if step.key == f"acme/{key}")


def test_a_second_time_there_is_nothing_to_do(rooms: PaperRooms) -> None:
    assert rooms.plan(read(ACME)).steps == ()


def test_gateways_come_before_what_is_behind_them() -> None:
    plan = PaperRooms().plan(read(ACME))
    needs = {step.key.removeprefix("acme/"): [key.removeprefix("acme/") for key in step.after] for step in plan.steps}
    assert needs["machine/web/create"] == ["network/lan/create", "volume/data/create"]
    assert needs["machine/web/start"] == ["machine/web/create", "machine/fw/create"]
    assert list(needs).index("machine/fw/start") < list(needs).index("machine/web/start")
    assert "machine/web/start" in needs["machine/job/start"]
    assert needs["insert/tap/create"] == ["machine/web/start"]
    assert needs["network/lan/create"] == ["room/acme/create"]


def test_settings_that_may_name_machines_are_saved_when_all_that_are_new_are_there() -> None:
    """And before those go that they may have named."""
    rooms = PaperRooms()
    plan = rooms.apply(read(ACME))
    (fw,) = [step for step in plan.steps if step.key == "acme/machine/fw/create"]
    assert {"acme/machine/web/create", "acme/machine/job/create"} <= set(fw.after)
    gone = read(ACME.replace("  job: { image: base, networks: [lan], after: web }\n", "").replace('"a, b"', '"a, c"'))
    (removal,) = [step for step in rooms.plan(gone).steps if step.key == "acme/machine/job/remove"]
    assert removal.after == ("acme/machine/fw/configure",)


@pytest.mark.parametrize(
    ("old", "new", "steps", "reasons"),
    [
        ("image: base, networks", "image: base, labels: { a: 1 }, networks",
         ["machine/job/change"], ("labels: +a=1",)),
        ("image: base, networks", "image: base, memory: 128M, networks",
         ["machine/job/change"], ("memory default → 128M needs a start",)),
        ("image: base, networks", "image: base, memory: 64M, hostname: job, kernel: default, networks", [], ()),
        ("image: base, networks", "image: base, memory: ..1G, cpus: 2..4, networks", ["machine/job/change"],
         ("profile microvm → q35 needs a start", "cpus 1 → 2..4 needs a start", "memory default → ..1G needs a start")),
        ("image: base, networks", "image: base, memory: 128M..1G, elastic: true, profile: microvm, networks",
         ["machine/job/change"],
         ("memory default → 128M..1G needs a start", "elastic manual → true needs a start")),
        ("image: base, networks", "image: base, elastic: false, networks", [], ()),
        ('names: "a, b"', 'names: "a, c", mode: open', ["machine/fw/configure"], ("names: -b, +c",)),
        ('settings: { names: "a, b" }', "settings: { mode: shut }",
         ["machine/fw/configure"], ("mode default → shut", "names a, b → default")),
        ("mode: copy", "mode: copy, fail: closed", ["insert/tap/change"], ("fail open → closed",)),
        ("mode: shut", "mode: open", ["insert/wall/configure"], ("mode shut → open",)),
        ("mode: copy", "mode: inline", ["insert/tap-2/create", "insert/tap/remove"],
         ("mode copy → inline is for another one in its place",)),
        ("uplink: true", "uplink: false", ["network/wan/change"], ("uplink true → false",)),
        ("data: 64M", "data: 128M",
         ["machine/web/stop", "volume/data/change", "machine/web/start"], ("volume data grows",)),
        ("after: web", "after: web, state: stopped", ["machine/job/stop"], ("the file wants it stopped",)),
        ("  job: { image: base, networks: [lan], after: web }\n", "",
         ["machine/job/remove"], ("the file does not name it any more",)),
        ("lan: { subnet", "dmz: , lan: { subnet", ["network/dmz/create"], ("it is not there",)),
    ],
)  # fmt: skip
def test_only_what_differs_changes(
    rooms: PaperRooms, old: str, new: str, steps: list[str], reasons: tuple[str, ...]
) -> None:
    file = read(ACME.replace(old, new).replace("dmz: , ", "dmz: {}\n  "))
    plan = rooms.apply(file)
    assert keys(plan) == steps
    assert (why(plan, steps[0]) if steps else ()) == reasons
    assert rooms.plan(file).steps == ()


def test_of_an_elastic_machine_only_the_policy_changes_while_it_runs(rooms: PaperRooms) -> None:
    def write(text: str) -> FabricFile:
        return read(ACME.replace("image: base, networks", f"image: base, {text}, networks"))

    rooms.apply(write("cpus: 1..4, memory: ..1G"))
    assert rooms.plan(write("cpus: ..4, memory: 64M..1G, elastic: manual")).steps == ()
    for said, lines, restarts in (
        ("cpus: 1..4, memory: ..1G, elastic: true", ("elastic manual → true",), ()),
        ("cpus: 1..4, memory: ..2G, elastic: true", ("memory ..1G → ..2G needs a start",), ("job",)),
        ("cpus: 2..4, memory: ..2G, elastic: { mode: manual }",
         ("elastic true → manual", "cpus 1..4 → 2..4 needs a start"), ("job",)),
        ("cpus: 2..4, memory: ..2G, elastic: { down_after: 1m, memory_headroom: 32M }",
         ("elastic manual → memory_headroom=32M, down_after=60.0",), ()),
        ("cpus: 2..4, memory: ..2G, elastic: { down_after: 2m, memory_headroom: 32M }",
         ("elastic: -down_after=60.0, +down_after=120.0",), ()),
        ("cpus: 2, memory: ..2G",
         ("cpus 2..4 → 2 needs a start", "elastic memory_headroom=32M, down_after=120.0 → manual needs a start"),
         ("job",)),
        ("cpus: 2", ("profile q35 → microvm needs a start", "memory ..2G → default needs a start"), ("job",)),
    ):  # fmt: skip
        plan = rooms.apply(write(said))
        (step,) = plan.steps
        assert (step.why, step.restarts) == (lines, restarts)
        assert rooms.plan(write(said)).steps == ()


def test_a_room_is_told_its_isolation(rooms: PaperRooms) -> None:
    plan = rooms.apply(read("isolation: strict" + ACME))
    assert keys(plan) == ["room/acme/change"]
    assert why(plan, "room/acme/change") == ("isolation normal → strict",)
    assert keys(rooms.apply(read(ACME))) == ["room/acme/change"]


def test_a_room_is_told_what_it_is_guaranteed(rooms: PaperRooms) -> None:
    plan = rooms.apply(read("resources: { memory: 1G, max_cpus: 1.5 }" + ACME))
    assert keys(plan) == ["room/acme/change"]
    assert why(plan, "room/acme/change") == ("resources cpu_weight 100 → memory 1G, max_cpus 1.5, cpu_weight 100",)
    assert keys(rooms.apply(read(ACME))) == ["room/acme/change"]


def test_what_no_file_named_is_left_alone(rooms: PaperRooms) -> None:
    other = read("networks: { own: 10.9.0.0/24 }\nmachines: { mine: { image: base, networks: [own] } }")
    rooms.carry_out(PaperRooms(rooms.rooms).plan(other))
    assert rooms.plan(read(ACME)).steps == ()
    down = plan_down(rooms.rooms, rooms, rooms.once)
    rooms.carry_out(down)
    assert [*rooms.rooms["acme"].machines] == ["mine"]
    assert "acme: the room stays: machine mine, volume data, network own are in it" in down.notes


def test_down_leaves_nothing_but_volumes_unless_they_are_named(rooms: PaperRooms) -> None:
    kept = plan_down(rooms.rooms, rooms, rooms.once)
    assert kept.losses == ()
    assert kept.notes == ("acme: volume data stays, with what is on it", "acme: the room stays: volume data is in it")
    rooms.carry_out(plan_down(rooms.rooms, rooms, rooms.once, volumes=True))
    assert rooms.rooms == {}


def test_a_difference_is_told_once_for_each_part(rooms: PaperRooms) -> None:
    text = ACME.replace("image: base, networks", "image: base, memory: 128M, networks").replace(
        "mode: copy", "fail: closed"
    )
    text = text.replace("uplink: true", "uplink: true, mtu: 1400").replace("  data: 64M", "  more: 64M\n  data: 64M")
    differences = find_differences(rooms.plan(read(text)))
    dumped = dump_differences(differences, "weft.yaml")
    assert dumped.startswith("--- as it is\n+++ weft.yaml\n@@ room acme @@\n")
    assert "+ volume more\n      it is not there\n" in dumped
    assert "~ insert tap\n      mode copy → inline is for another one in its place\n" in dumped
    assert "~ network wan\n      it is made anew: mtu 1500 → 1400\n" in dumped
    assert "~ machine job\n      memory default → 128M needs a start\n" in dumped
    assert dump_differences(find_differences(rooms.plan(read(ACME))), "weft.yaml") == ""


def test_a_network_is_made_anew_with_nobody_on_it(rooms: PaperRooms) -> None:
    file = read(ACME.replace("subnet: 10.20.1.0/24", "subnet: 10.20.1.0/24, mtu: 1400"))
    plan = rooms.plan(file)
    assert why(plan, "machine/web/stop") == ("network lan goes, or is made anew",)
    assert why(plan, "machine/web/leave") == ("networks: -lan 10.20.1.10 for a while",)
    assert sorted(plan.restarts) == [("acme", "fw"), ("acme", "job"), ("acme", "web")]
    before = {name: machine.nics for name, machine in rooms.rooms["acme"].machines.items()}
    rooms.apply(file)
    assert {name: machine.nics for name, machine in rooms.rooms["acme"].machines.items()} == before
    assert rooms.plan(file).steps == ()


def test_what_one_machine_has_goes_to_another(rooms: PaperRooms) -> None:
    text = ACME.replace("10.20.1.10", "10.20.1.11").replace(', publish: ["8080:80"]', "")
    file = read(
        text.replace(
            "job: { image: base, networks: [lan]", "job: { image: base, networks: { lan: 10.20.1.10 }, publish: 8080:80"
        )
    )
    rooms.apply(file, order=lambda steps: [*reversed(steps)])
    assert [nic.address for nic in rooms.rooms["acme"].machines["job"].nics] == [IPv4Address("10.20.1.10")]
    assert rooms.plan(file).steps == ()


def test_a_pool_comes_changes_and_goes(rooms: PaperRooms) -> None:
    plan = rooms.apply(read(ACME + "pool: { sniffer: 2, base: { size: 1, memory: 128M } }"))
    assert keys(plan) == ["pool/sniffer/create", "pool/base/create"]
    assert rooms.plan(read(ACME + "pool: { sniffer: 2, base: { size: 1, memory: 128M } }")).steps == ()
    plan = rooms.apply(read(ACME + "pool: { sniffer: 3 }"))
    assert keys(plan) == ["pool/sniffer/change", "pool/base/remove"]
    assert why(plan, "pool/sniffer/change") == ("size 2 → 3",)


def test_memory_of_a_pool_that_its_image_asks_for_is_no_difference(rooms: PaperRooms) -> None:
    rooms.apply(read(ACME + "pool: { sniffer: 2 }"))
    image = rooms.find_image("sniffer")
    assert image is not None
    assert rooms.plan(read(ACME + f"pool: {{ sniffer: {{ size: 2, memory: {image.memory} }} }}")).steps == ()


def test_a_pool_waits_for_an_image_that_is_built_for_another_part(rooms: PaperRooms) -> None:
    fresh = "machines: { own: { build: /recipes/own } }\npool: { own: 1 }"
    plan = rooms.apply(read(fresh, "new"))
    step = next(step for step in plan.steps if step.kind == "pool")
    assert "image/own/build" in step.after
