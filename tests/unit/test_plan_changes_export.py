"""A room as it is, as a file that people can read."""

from dataclasses import replace

from tests.unit.paper_rooms import PaperRooms
from tests.unit.test_plan_changes import ACME, read

from weft.model.image import BUILT_IN
from weft.model.machine import MachineSpec, State
from weft.plan.changes.export import export_rooms
from weft.plan.changes.settle import settle_machine
from weft.plan.changes.state import MachineNow
from weft.plan.fabric_file.check import check_file
from weft.plan.foreign import complete_foreign


def make_rooms() -> PaperRooms:
    rooms = PaperRooms()
    rooms.apply(read(ACME))
    machine = replace(rooms.rooms["acme"].machines["fw"], settings={"names": ("a", "b"), "key": "hush"})
    machines = {**rooms.rooms["acme"].machines, "fw": machine}
    rooms.rooms["acme"] = replace(rooms.rooms["acme"], machines=machines)
    return rooms


def test_no_more_is_said_than_was_asked_for() -> None:
    rooms = make_rooms()
    text = export_rooms(rooms.rooms.values(), rooms)
    assert (
        text
        == """\
rooms:
  acme:
    networks:
      lan:
        subnet: 10.20.1.0/24
        gateway: fw
      wan:
        uplink: true
    machines:
      fw:
        image: gate
        networks:
          - wan
          - lan
        publish:
          - 8080:80
        settings:
          # key: a secret, left out
          names:
            - a
            - b
      job:
        image: base
        networks:
          - lan
      web:
        image: web
        networks:
          lan:
            address: 10.20.1.10
        volumes:
          - data:/srv
    inserts:
      wall:
        appliance: wall
        before: network:wan
        settings:
          mode: shut
      tap:
        appliance: sniffer
        before: web
        mode: copy
    volumes:
      data:
        size: 64M
"""
    )


def test_an_exact_copy_has_what_was_given() -> None:
    rooms = make_rooms()
    text = export_rooms(rooms.rooms.values(), rooms, exact=True)
    assert "      wan:\n        subnet: 10.87.0.0/24\n        uplink: true\n" in text
    assert "          lan:\n            address: 10.20.1.1\n            mac: '52:57:" in text


def test_what_a_file_cannot_describe_is_told() -> None:
    rooms = make_rooms()
    job = rooms.rooms["acme"].machines["job"]
    nics = tuple(nic.model_copy(update={"network": None}) for nic in job.spec.nics or ())
    parked = replace(job, spec=job.spec.model_copy(update={"nics": nics}))
    rooms.rooms["acme"] = replace(rooms.rooms["acme"], machines={"job": parked})
    text = export_rooms(rooms.rooms.values(), rooms)
    assert text.startswith("# acme: job is a parked appliance, which a file cannot describe\n")


def test_ranges_come_back_as_they_are_written() -> None:
    rooms = PaperRooms()
    said = (
        "job: { image: base, cpus: ..4, elastic: true }",
        "web: { image: base, cpus: 2, memory: 64M..1G, profile: microvm }",
        "db: { image: base, memory: ..1G, elastic: manual }",
    )
    rooms.apply(read("machines:\n  " + "\n  ".join(said)))
    text = export_rooms(rooms.rooms.values(), rooms)
    assert (
        text.partition("machines:\n")[2]
        == """\
      db:
        image: base
        memory: ..1G
      job:
        image: base
        cpus: 1..4
        elastic: true
      web:
        image: base
        profile: microvm
        memory: 64M..1G
        cpus: 2
"""
    )


def test_a_range_without_room_is_a_size() -> None:
    """The API takes it, and nobody can tell it from one that is fixed."""
    rooms = PaperRooms()
    rooms.apply(read("machines: { job: { image: base, cpus: 1..4, memory: 64M..1G } }"))
    machine = rooms.rooms["acme"].machines["job"]
    spec = MachineSpec.model_validate({**machine.spec.model_dump(), "cpus": 4})
    rooms.rooms["acme"] = replace(rooms.rooms["acme"], machines={"job": replace(machine, spec=spec)})
    text = export_rooms(rooms.rooms.values(), rooms)
    assert "cpus: 4\n" in text
    assert rooms.plan(check_file(text, "/", rooms).file).steps == ()


LIVE = """\
rooms:
  acme:
    machines:
      cat:
        image: plan9
        foreign:
          plan9:
            options:
              '*acpi': '1'
            root: /srv/root
        pxe: true
      edge:
        image: foreign
        foreign:
          cdroms:
            - /media/live.iso
          floppy_drive: /media/config.img
          firmware: uefi
          nic_model: e1000e
          end: halt
      old:
        image: foreign
        profile: pc
        foreign:
          disks:
            - /media/old.qcow2
          display: vnc
"""


def test_systems_of_their_own_are_as_they_were_asked_for() -> None:
    rooms, file = PaperRooms(), check_file(LIVE, "/", PaperRooms()).file
    rooms.apply(file)
    assert export_rooms(rooms.rooms.values(), rooms) == LIVE
    assert not rooms.plan(file).steps
    assert rooms.rooms["acme"].machines["edge"].spec.profile == "q35"


def test_what_an_image_says_of_a_system_need_not_be_said() -> None:
    said, image = MachineSpec(name="cat", image="plan9"), BUILT_IN["plan9"]
    made = complete_foreign(said, image)
    assert made != said
    assert settle_machine(MachineNow(made, State.RUNNING), said, image) == made


def test_another_medium_is_told_as_what_it_is() -> None:
    rooms = PaperRooms()
    rooms.apply(check_file(LIVE, "/", rooms).file)
    (step,) = rooms.plan(check_file(LIVE.replace("live.iso", "new.iso"), "/", rooms).file).steps
    assert step.why == ("cdroms: -/media/live.iso, +/media/new.iso",)
    (step,) = rooms.plan(check_file(LIVE.replace("old.qcow2", "new.qcow2"), "/", rooms).file).steps
    assert step.why == ("disks: -/media/old.qcow2, +/media/new.qcow2 needs a start",)
