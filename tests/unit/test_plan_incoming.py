"""The command line of a second QEMU is the first one's, but for what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.model.machine import Profile
from weft.plan.boot import Boot, BootDisk, BootNic, BootShare, plan_boot
from weft.plan.incoming import follow_move, parse_running, plan_incoming

BOOT = Boot(
    name="web",
    uuid="6f1e7b0c-0000-4000-8000-000000000001",
    profile=Profile.MICROVM,
    accel="tcg",
    memory=64 << 20,
    cpus=1,
    kernel="/machine/vmlinux",
    initrd="/machine/initrd",
    root="/machine/root",
    serial_log="/machine/serial.log",
    qmp_fd=11,
    serial_fd=12,
    agent_fd=13,
    nics=(BootNic("52:57:00:00:00:01", 14), BootNic("52:57:00:00:00:02", 15)),
    floppy_fd=16,
    memory_fd=17,
)
OTHERS = {old: old + 100 for old in range(11, 18)}
DISK = BootDisk("weft-volume0", "/machine/weft-volume0")


def in_walls(boot: Boot, *, identity: Identity | None = None) -> list[str]:
    binds = [Bind(Path("/images/root.squashfs"), "root"), Bind(Path("/logs/serial.log"), "serial.log", writable=True)]
    return plan_sandbox(["qemu-system-x86_64", *plan_boot(boot)], binds=binds, identity=identity, proc=True)


def given(boot: Boot, fds: Mapping[int, int]) -> Boot:
    """The same machine with other descriptors."""
    return replace(
        boot,
        qmp_fd=fds[11],
        serial_fd=fds[12],
        agent_fd=fds[13],
        nics=tuple(replace(nic, tap_fd=fds[nic.tap_fd]) for nic in boot.nics),
        floppy_fd=fds[16],
        memory_fd=fds[17],
    )


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("identity", [None, Identity(70123, 70123)])
def test_all_that_is_given_is_known(profile: Profile, identity: Identity | None) -> None:
    running = parse_running(in_walls(replace(BOOT, profile=profile), identity=identity))
    assert running.channels == {"qmp": 11, "serial": 12, "agent": 13}
    assert (running.others, running.memory) == ((16,), 17)
    assert running.shared and not running.folders
    assert ("/machine/root", "/images/root.squashfs") in running.files
    assert "/machine/serial.log" not in dict(running.files), "it is written to, so it may be another"


def test_what_came_from_a_pool_is_found_where_it_is_now() -> None:
    binds = [Bind(Path("/pool/base-1/initrd"), "initrd"), Bind(Path("/images/root"), "root")]
    running = parse_running(plan_sandbox(["qemu-system-x86_64", *plan_boot(BOOT)], binds=binds, proc=True))
    moved = follow_move(running, "/pool", "/machines/web")
    assert dict(moved.files)["/machine/initrd"] == "/machines/web/initrd"
    assert dict(moved.files)["/machine/root"] == "/images/root"
    assert "/machines/web/initrd" in moved.argv and "/pool/base-1/initrd" not in moved.argv
    assert follow_move(moved, "/pool", "/machines/other") == moved


def test_a_copy_runs_on_memory_that_is_others_too() -> None:
    assert not parse_running(in_walls(replace(BOOT, memory_shared=False))).shared


def test_folders_and_disks_are_seen() -> None:
    running = parse_running(in_walls(replace(BOOT, disks=(DISK,))))
    assert running.disks and not running.folders
    assert not parse_running(in_walls(BOOT)).disks
    assert parse_running(in_walls(replace(BOOT, shares=(BootShare("weft-share0", 20),)))).folders


@pytest.mark.parametrize("shared", [True, False])
def test_a_successor_differs_in_what_it_is_given_alone(shared: bool) -> None:
    planned = plan_incoming(parse_running(in_walls(BOOT)), OTHERS, shared=shared)
    assert without_waiting(planned) == without_taps(in_walls(replace(given(BOOT, OTHERS), memory_shared=shared)))
    assert planned[-4:] == ["-incoming", "defer", "-S", "-preconfig"]


def test_a_holder_gets_taps_of_its_own() -> None:
    planned = plan_incoming(parse_running(in_walls(BOOT)), OTHERS, shared=True, idle=True, taps=[214, 215])
    assert planned[-4:] == ["-netdev", "tap,id=net0,fd=214", "-netdev", "tap,id=net1,fd=215"]
    assert "-preconfig" not in planned


def test_who_has_taken_over_can_be_captured_again() -> None:
    planned = plan_incoming(parse_running(in_walls(BOOT)), OTHERS, shared=False)
    again = plan_incoming(parse_running(planned), {new: old for old, new in OTHERS.items()}, shared=False)
    assert without_waiting(again) == without_taps(in_walls(replace(BOOT, memory_shared=False)))
    assert again.count("-preconfig") == 1


def test_what_was_incoming_is_so_once() -> None:
    copy = in_walls(replace(BOOT, memory_shared=False, incoming=True))
    planned = plan_incoming(parse_running(copy), OTHERS, shared=True)
    assert planned.count("-incoming") == planned.count("-S") == 1


def test_numbers_that_are_exchanged_do_not_meet() -> None:
    crossed = {**OTHERS, 11: 12, 12: 11}
    planned = plan_incoming(parse_running(in_walls(BOOT)), crossed, shared=False)
    assert parse_running(planned).channels == {"qmp": 12, "serial": 11, "agent": 113}


def test_who_never_runs_keeps_no_disk_from_others() -> None:
    boot = replace(BOOT, disks=(DISK,))
    running = parse_running(in_walls(boot))
    assert any(",locking=on" in word for word in plan_incoming(running, OTHERS, shared=False))
    assert not any(",locking=on" in word for word in plan_incoming(running, OTHERS, shared=True, idle=True))


def test_a_filter_of_system_calls_is_given_anew() -> None:
    walls = in_walls(BOOT)
    at = walls.index("--")
    filtered = [*walls[:at], "--seccomp", "30", *walls[at:]]
    running = parse_running(filtered)
    assert 30 not in running.others
    assert "--seccomp" not in plan_incoming(running, OTHERS, shared=False)
    planned = plan_incoming(running, OTHERS, shared=False, seccomp=99)
    assert planned[planned.index("--seccomp") + 1] == "99"
    assert planned.index("--seccomp") < planned.index("--")


def without_waiting(argv: Sequence[str]) -> list[str]:
    return list(argv[: argv.index("-incoming")])


def without_taps(argv: Sequence[str]) -> list[str]:
    taps = {at for at, word in enumerate(argv) if word.startswith("tap,")}
    return [word for at, word in enumerate(argv) if at not in taps and at + 1 not in taps]
