"""From a machine and the host's facts to QEMU's arguments.

Pure, with golden tests. Paths are those inside the sandbox, descriptors those that the QEMU process inherits. Reasons
for the less obvious arguments are in docs/architecture.md, "Booting".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.model.machine import Profile


@dataclass(frozen=True, slots=True)
class BootNic:
    """A NIC on an open tap descriptor."""

    mac: str
    tap_fd: int


@dataclass(frozen=True, slots=True)
class BootDisk:
    """A disk beside the root, found in the guest by its serial number of at most 20 bytes.

    `direct`: past the host's page cache, where the host's file system can do that.
    """

    serial: str
    file: str
    read_only: bool = False
    direct: bool = True


@dataclass(frozen=True, slots=True)
class BootShare:
    """A folder of the host under a tag, by an open socket to the server that serves it."""

    tag: str
    fd: int


@dataclass(frozen=True, slots=True)
class BootElastic:
    """What a machine can get beyond what it boots with: processors up to `max_cpus`, which are all there but `parked`
    by its kernel, or come by hot-plug; `region` bytes of memory, in the memfd `region_fd`.
    """

    max_cpus: int
    parked: bool
    region: int = 0
    region_fd: int | None = None


@dataclass(frozen=True, slots=True)
class Boot:
    """All that decides QEMU's arguments. Memory in bytes, `tsc_khz` the host's rate if it is known.

    `memory_fd` is a memfd that the machine's memory is in; None: QEMU's own, which nobody can copy or share. Unless
    `memory_shared` the machine only reads it, and keeps to itself what it writes. `incoming`: it does not boot, but
    waits for the state of devices that it goes on from. `own_filter`: QEMU can filter its system calls itself.
    `from_network`: kernel, initrd and root, which are empty then, come over the network of its first NIC.
    """

    name: str
    uuid: str
    profile: Profile
    accel: str
    memory: int
    cpus: int
    kernel: str
    initrd: str
    root: str
    serial_log: str
    qmp_fd: int
    serial_fd: int
    agent_fd: int
    nics: tuple[BootNic, ...] = ()
    disks: tuple[BootDisk, ...] = ()
    shares: tuple[BootShare, ...] = ()
    tsc_khz: int | None = None
    kernel_args: tuple[str, ...] = field(default=())
    floppy_fd: int | None = None
    memory_fd: int | None = None
    memory_shared: bool = True
    incoming: bool = False
    own_filter: bool = True
    from_network: bool = False
    elastic: BootElastic | None = None


ROOT_SERIAL = "weft-root"
FLOPPY_SERIAL = "weft-floppy"
FLOPPY_SET = 1
"""QEMU's number for a set of descriptors that are one file."""
AGENT_PORT = "weft.agent"
MEMORY = "memory"
"""What QEMU calls a machine's memory."""
REGION, PLUG, BALLOON = "region", "plug", "balloon"
"""What QEMU calls the memory that an elastic machine can get, the device that it comes by, and what takes some away."""
TCG_BUFFER_MB = 16
"""Translation buffer: the default of a quarter of the RAM costs resident memory and boots slower (docs: Footguns)."""

_QUIET = ("sysctl.vm.stat_interval=60", "sysctl.vm.compaction_proactiveness=0")
"""Kernel arguments without which a guest that does nothing wakes up three times a second to count its pages."""

DISK_THREADS = 16
"""The most that QEMU has at work on its disks at once."""


def plan_boot(boot: Boot) -> list[str]:
    """QEMU's arguments, without the program's own name."""
    return [
        *process_arguments(boot.name, boot.uuid, boot.accel, disks=bool(boot.disks), own_filter=boot.own_filter),
        *_board(boot),
        *_kernel(boot),
        *channel_arguments(boot.qmp_fd, boot.serial_fd, boot.serial_log),
        *("-chardev", f"socket,id=agent,fd={boot.agent_fd},server=on,wait=off"),
        *_devices(boot),
        *(["-incoming", "defer"] if boot.incoming else []),
    ]


def _kernel(boot: Boot) -> Iterator[str]:
    if not boot.from_network:
        yield from ("-kernel", boot.kernel, "-initrd", boot.initrd, "-append", kernel_line(boot))


def kernel_line(boot: Boot) -> str:
    """The kernel's command line. What the machine is to do stands in its initrd, not here."""
    args = ["console=ttyS0", "quiet", "loglevel=3", "panic=-1", "reboot=t", *_QUIET]
    if boot.profile is Profile.MICROVM:
        args += ["acpi=off", "pci=off"]  # the board has neither; looking for them costs time and complaints
    if boot.accel == "tcg":
        # Calibrating the TSC against an emulated timer takes long and, on a loaded host, goes wrong.
        args.append("no_timer_check")
        # They guard against what a processor guesses. Emulated code makes other guesses, in one address space, so they
        # change nothing but the time that everything takes.
        args.append("mitigations=off")
        if boot.tsc_khz:
            # Without `reliable` four of ten guests on a loaded host drop the TSC for a clock that ticks every 10 ms.
            args += [f"tsc_early_khz={boot.tsc_khz}", "tsc=reliable"]
    if boot.elastic is not None and boot.elastic.region:
        # Memory that programs alone may use can be taken away again.
        args.append("memhp_default_state=online_movable")
    if boot.elastic is not None and boot.elastic.parked:
        args.append(f"maxcpus={boot.cpus}")
    return " ".join([*args, *boot.kernel_args])


def process_arguments(name: str, uuid: str, accel: str, *, disks: bool, own_filter: bool) -> Iterator[str]:
    """What is the same for whatever a QEMU runs: who it is, what it must not do, and its processors."""
    yield from ("-name", f"guest={name}", "-uuid", uuid)
    yield from ("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot")
    if disks:
        # Otherwise up to 64 threads for what disks wait for, which the limit of the control group would cut off.
        yield from ("-object", f"main-loop,id=main-loop,thread-pool-max={DISK_THREADS}")
    if own_filter:
        yield from ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    accelerator = f"tcg,tb-size={TCG_BUFFER_MB},thread=multi" if accel == "tcg" else accel
    yield from ("-accel", accelerator, "-cpu", "max" if accel == "tcg" else "host")


def channel_arguments(qmp_fd: int, serial_fd: int, serial_log: str) -> Iterator[str]:
    """The monitor, and the serial line with its log."""
    yield from ("-chardev", f"socket,id=qmp,fd={qmp_fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control")
    log = f"logfile={serial_log},logappend=on"
    yield from ("-chardev", f"socket,id=serial,fd={serial_fd},server=on,wait=off,{log}")
    yield from ("-serial", "chardev:serial")


def _board(boot: Boot) -> Iterator[str]:
    # Else the kernel may merge its pages with those of machines that it has nothing in common with.
    memory = ",mem-merge=off" + ("" if boot.memory_fd is None else f",memory-backend={MEMORY}")
    if boot.profile is Profile.MICROVM:
        # With ACPI microvm hangs under TCG for lack of a timer reference; without rtc the boot takes 2 s longer.
        yield from ("-M", f"microvm,acpi=off,rtc=on,pit=on,pic=on,isa-serial=on{memory}")
    else:
        # Firmware that has something to say does so on the serial line.
        screen = ",graphics=off" if boot.from_network else ""
        yield from ("-M", f"q35,smm=off,vmport=off,hpet=off{screen}{memory}", "-boot", "strict=on")
        # Each process has another number: the kernel of a copy gets new random numbers in the moment it goes on.
        yield from ("-device", "vmgenid,guid=auto")
    yield from ("-m", _memory(boot), "-smp", _processors(boot))
    if boot.memory_fd is not None:
        share = "on" if boot.memory_shared else "off"
        path = f"/proc/self/fd/{boot.memory_fd}"  # QEMU takes no descriptor here, and a memfd has no other name
        yield from (
            "-object",
            f"memory-backend-file,id={MEMORY},size={boot.memory >> 20}M,mem-path={path},share={share}",
        )


def _memory(boot: Boot) -> str:
    region = boot.elastic.region if boot.elastic else 0
    return f"{boot.memory >> 20}M" + (f",maxmem={boot.memory + region >> 20}M" if region else "")


def _processors(boot: Boot) -> str:
    if boot.elastic is None:
        return str(boot.cpus)
    return str(boot.elastic.max_cpus) if boot.elastic.parked else f"{boot.cpus},maxcpus={boot.elastic.max_cpus}"


def _region(elastic: BootElastic) -> Iterator[str]:
    """None of it is plugged until the guest's driver is told so."""
    path = f"/proc/self/fd/{elastic.region_fd}"
    size = f"size={elastic.region >> 20}M"
    yield from ("-object", f"memory-backend-file,id={REGION},{size},mem-path={path},share=on,reserve=off")
    yield from ("-device", f"virtio-mem-pci,id={PLUG},memdev={REGION},requested-size=0,block-size=2M")


def _devices(boot: Boot) -> Iterator[str]:
    bus = "device" if boot.profile is Profile.MICROVM else "pci"
    yield from (
        "-device",
        f"virtio-serial-{bus},max_ports=2",
        "-device",
        f"virtserialport,chardev=agent,name={AGENT_PORT}",
    )
    if not boot.from_network:
        yield from ("-blockdev", f"file,node-name=root,filename={boot.root},read-only=on,locking=off")
        yield from ("-device", f"virtio-blk-{bus},drive=root,serial={ROOT_SERIAL}")
    yield from ("-object", "rng-random,id=rng,filename=/dev/urandom", "-device", f"virtio-rng-{bus},rng=rng")
    # Pages that it gives back may read as anything later: a guest that wants them to be zero does not report any.
    balloon = f"virtio-balloon-{bus},free-page-reporting=on,page-poison=off,deflate-on-oom=on"
    yield from ("-device", balloon + (f",id={BALLOON}" if boot.elastic else ""))
    if boot.elastic is not None and boot.elastic.region:
        yield from _region(boot.elastic)
    if boot.floppy_fd is not None:
        # The descriptor was opened for reading, and stays on this floppy when another takes its name.
        yield from ("-add-fd", f"fd={boot.floppy_fd},set={FLOPPY_SET}")
        yield from ("-blockdev", f"file,node-name=floppy,filename=/dev/fdset/{FLOPPY_SET},read-only=on,locking=off")
        yield from ("-device", f"virtio-blk-{bus},drive=floppy,serial={FLOPPY_SERIAL}")
    for index, nic in enumerate(boot.nics):
        yield from ("-netdev", f"tap,id=net{index},fd={nic.tap_fd}")
        # A deep receive ring bridges the moments in which an emulated CPU does not get to run.
        rom = _rom(boot, index)
        yield from ("-device", f"virtio-net-{bus},netdev=net{index},mac={nic.mac},rx_queue_size=1024{rom}")
    for disk in boot.disks:
        yield from _disk(disk, bus)
    for share in boot.shares:
        yield from ("-chardev", f"socket,id={share.tag},fd={share.fd}")
        yield from ("-device", f"vhost-user-fs-{bus},chardev={share.tag},tag={share.tag}")
    if boot.shares and boot.profile is Profile.MICROVM:
        # File servers speak virtio 1 only, and a board can be told for all its devices alone.
        yield from ("-global", "virtio-mmio.force-legacy=false")


def _rom(boot: Boot, nic: int) -> str:
    """What a NIC has in its ROM is for booting from the network, and takes time."""
    if boot.profile is Profile.MICROVM:
        return ""
    return ",bootindex=1" if boot.from_network and nic == 0 else ",romfile="


def _disk(disk: BootDisk, bus: str) -> Iterator[str]:
    """What the guest flushes is on the host's disk when it is told so, and what it deletes is given back."""
    access = "read-only=on" if disk.read_only else "read-only=off,discard=unmap"
    cache = f"cache.direct={'on' if disk.direct else 'off'},cache.no-flush=off"
    # QEMU's own lock stands behind the fabric's: no second writer, whatever is on record.
    yield from ("-blockdev", f"file,node-name={disk.serial},filename={disk.file},{access},{cache},locking=on")
    yield from ("-device", f"virtio-blk-{bus},drive={disk.serial},serial={disk.serial},write-cache=on")
