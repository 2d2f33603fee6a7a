"""Tries out what Weft needs of a host, and says for each thing that is missing what would help."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weft.host.accelerator import KVM
from weft.host.cgroup import CgroupMode, find_cgroups
from weft.host.facts import HostFacts, find_facts
from weft.host.file_server import find_virtiofsd
from weft.host.firmware import PACKAGE, list_firmware
from weft.host.hotplug import Verdicts
from weft.host.kernel_links import KernelLinks, open_links
from weft.host.namespace import Namespace, open_namespace
from weft.host.process import find_program, run
from weft.host.sandbox import Identity, plan_sandbox
from weft.model.errors import WeftError
from weft.model.machine import Profile
from weft.model.wiring import FilterKind

_OLDEST_QEMU = (7, 2, 0)
_PROBE_UID = 65534


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `needed` ones must be ok for machines to run; `package` is Debian's, when one is missing."""

    name: str
    ok: bool
    detail: str
    hint: str | None = None
    package: str | None = None
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the host, the Debian package it is in, and what it is wanted for."""

    name: str
    package: str
    purpose: str
    needed: bool = True


PROGRAMS = (
    Program("qemu-system-x86_64", "qemu-system-x86", "runs machines"),
    Program("bwrap", "bubblewrap", "walls machines in"),
    Program("nsenter", "util-linux", "enters the fabric's namespace"),
    Program("setpriv", "util-linux", "gives machines a user of their own"),
    Program("dnsmasq", "dnsmasq-base", "resolves names on networks"),
    Program("nft", "nftables", "keeps networks apart"),
    Program("mkfs.ext4", "e2fsprogs", "makes volumes", needed=False),
    Program("mkfs.vfat", "dosfstools", "makes appliances' floppies"),
    Program("mcopy", "mtools", "reads and writes appliances' floppies"),
    Program("pasta", "passt", "gives networks an uplink", needed=False),
    Program("mksquashfs", "squashfs-tools", "builds images", needed=False),
    Program("tar2sqfs", "squashfs-tools-ng", "makes roots of OCI images", needed=False),
    Program("dpkg-deb", "dpkg", "builds images", needed=False),
    Program("gcc", "gcc", "builds kernels", needed=False),
    Program("make", "make", "builds kernels", needed=False),
    Program("flex", "flex", "builds kernels", needed=False),
    Program("bison", "bison", "builds kernels", needed=False),
    Program("bc", "bc", "builds kernels", needed=False),
    Program("musl-gcc", "musl-tools", "builds the machines' init", needed=False),
)

_PINS = b"""table bridge weft {
  set ports { typeof iifname . @th,192,64; }
  chain in { type filter hook prerouting priority -300; iifname . @th,192,64 @ports accept; }
}"""


async def diagnose(run_dir: Path) -> list[Check]:
    """Look at everything. Leaves nothing behind but the facts kept in `run_dir`."""
    facts = await find_facts(run_dir)
    checks = [check_program(program) for program in PROGRAMS]
    checks += [
        _check_qemu(facts),
        _check_accelerator(facts),
        _check_hotplug(run_dir, facts),
        _check_cgroups(),
        await _check_sandbox(facts),
        await _check_folders(),
        check_firmware(facts.qemu_version),
    ]
    return [*checks, *await _check_networking()]


def missing_packages(checks: list[Check]) -> list[str]:
    """The Debian packages that would help, each once."""
    return sorted({check.package for check in checks if not check.ok and check.package})


def check_program(program: Program) -> Check:
    """Whether a program is installed."""
    path = find_program(program.name)
    hint = None if path else f"install {program.package}"
    detail = path or f"not installed: {program.purpose}"
    return Check(program.name, path is not None, detail, hint, None if path else program.package, program.needed)


async def _check_folders() -> Check:
    """File servers have a user namespace of their own, also as root."""
    try:
        place = find_virtiofsd()
    except WeftError as err:
        return Check("virtiofsd", False, err.message, err.hint, "qemu-system-common", needed=False)

    async def enter() -> str:
        await run(plan_sandbox(["/bin/true"], proc=True), timeout=10.0)
        return place

    hint = "user namespaces may be forbidden: see sysctl user.max_user_namespaces"
    return replace(await _check("virtiofsd", enter, hint), needed=False)


def check_firmware(qemu_version: tuple[int, int, int], places: Sequence[Path] | None = None) -> Check:
    """Whether there is UEFI firmware, by the descriptors in `places`; None: those of the host."""
    if found := list_firmware(Profile.Q35, qemu_version, places):
        return Check("UEFI firmware", True, str(found[0].code.path), needed=False)
    detail = "not installed: boots media that know no BIOS"
    return Check("UEFI firmware", False, detail, f"install {PACKAGE}", PACKAGE, needed=False)


def _check_qemu(facts: HostFacts) -> Check:
    version = ".".join(map(str, facts.qemu_version))
    new_enough = facts.qemu_version >= _OLDEST_QEMU
    hint = None if new_enough else f"at least {'.'.join(map(str, _OLDEST_QEMU))} is needed"
    return Check("qemu version", new_enough, version, hint)


def _check_accelerator(facts: HostFacts) -> Check:
    works = facts.accel == KVM
    hint = None if works else "machines run in software, some ten times slower"
    detail = f"{facts.accel}: {facts.accel_reason}"
    return Check("accelerator", works, detail, hint, needed=False)


def _check_hotplug(run_dir: Path, facts: HostFacts) -> Check:
    """What doctor itself does not try: the trial is a machine that boots, and belongs to a fabric."""
    verdicts = Verdicts(run_dir, facts).all().values()
    failed = next((verdict for verdict in verdicts if not verdict.works), None)
    if failed is None:
        detail = "works" if verdicts else "not tried yet: it is when the first elastic machine with a PCI bus runs"
        return Check("hot-plug", True, detail, needed=False)
    hint = "processors of elastic machines are all there from the start, and switched by their kernels"
    return Check("hot-plug", False, failed.reason, hint, needed=False)


def _check_cgroups() -> Check:
    found = find_cgroups("doctor")
    works = found.mode != CgroupMode.NONE
    hint = None if works else "limits of processor and memory are not enforced"
    return Check("control groups", works, found.reason or str(found.mode), hint, needed=False)


async def _check_sandbox(facts: HostFacts) -> Check:
    identity = Identity(_PROBE_UID, _PROBE_UID) if facts.root else None

    async def enter() -> str:
        await run(plan_sandbox(["/bin/true"], identity=identity), timeout=10.0)
        return "works"

    return await _check("sandbox", enter, "user namespaces may be forbidden: see sysctl user.max_user_namespaces")


async def _check_networking() -> list[Check]:
    """Everything that has to do with links, in a namespace of its own that goes again."""
    with tempfile.TemporaryDirectory(prefix="weft-doctor-") as folder:
        try:
            namespace = await open_namespace(Path(folder))
        except WeftError as err:
            hint = "user namespaces may be forbidden: see sysctl user.max_user_namespaces"
            return [Check("network namespace", False, err.message, hint)]
        try:
            links = await open_links(namespace)
            return [Check("network namespace", True, _describe(namespace)), *await _check_links(links, namespace)]
        finally:
            await namespace.stop()


async def _check_links(links: KernelLinks, namespace: Namespace) -> list[Check]:
    async def wire() -> str:
        await links.create_bridge("n0", mtu=1500, alias="weft doctor")
        await links.create_port("b0.0", "p0.0", bridge="n0", mtu=1500, alias="weft doctor")
        return "bridges and pairs can be made"

    async def redirect() -> str:
        await links.add_filter("p0.0", 10, FilterKind.MIRROR, "b0.0")
        await links.add_filter("p0.0", 20, FilterKind.REDIRECT, "b0.0")
        return "frames can be redirected and copied"

    async def tap() -> str:
        await links.create_tap("t0.0", mtu=1500, alias="weft doctor")
        os.close(await links.open_tap("t0.0"))
        return "taps can be made"

    async def rules() -> str:
        table = b"table inet weft { chain out { type nat hook postrouting priority 100; oifname u masquerade; }; }"
        await run(namespace.argv(["nft", "-f", "-"]), input=table, timeout=10.0)
        return "networks can be kept apart"

    async def pins() -> str:
        await run(namespace.argv(["nft", "-f", "-"]), input=_PINS, timeout=10.0)
        return "machines can be held to their addresses"

    checks = [
        await _check("links", wire, "the kernel needs bridge and veth"),
        await _check("filters", redirect, "the kernel needs sch_ingress, cls_u32 and act_mirred"),
        await _check(
            "taps", tap, "/dev/net/tun must be there, readable and writable for this user (usually mode 0666)"
        ),
        await _check("firewall", rules, "the kernel needs nf_tables with nat and masquerade"),
        await _check("pins", pins, "the kernel needs nf_tables for bridges, and nft has to know sets of raw payload"),
    ]
    await links.close()
    return checks


async def _check(name: str, attempt: Callable[[], Awaitable[str]], hint: str) -> Check:
    try:
        async with asyncio.timeout(20):
            return Check(name, True, await attempt())
    except (WeftError, TimeoutError) as err:
        return Check(name, False, str(err) or "no answer in time", hint)


def _describe(namespace: Namespace) -> str:
    return "in a user namespace" if namespace.rootless else "as root"
