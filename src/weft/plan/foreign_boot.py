"""From a machine that brings its own system to QEMU's arguments.

Pure, with golden tests. Files come as sets of descriptors that QEMU inherits: nothing of the host has to be in the
sandbox, and no other file can take the place of one that was checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from weft.model.foreign import DiskFormat, NicModel
from weft.model.machine import Profile
from weft.plan.boot import BootNic, channel_arguments, process_arguments


@dataclass(frozen=True, slots=True)
class Medium:
    """An image of a CD, a floppy or a disk. `fd` was opened for what is to be done with it."""

    fd: int
    format: DiskFormat = "raw"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Flash:
    """Firmware in the board's flash chips: its code, which is only read, and the variables that it keeps."""

    code: Medium
    variables: Medium

    @property
    def fds(self) -> tuple[int, ...]:
        return (self.code.fd, self.variables.fd)


@dataclass(frozen=True, slots=True)
class ForeignBoot:
    """All that decides QEMU's arguments. Memory in bytes; paths are those inside the sandbox.

    `kernel` is a multiboot kernel with its `modules` and the `words` of its command line; without one it boots from
    the network of its first NIC if it is to, else from the first CD or disk, or the floppy. `flash` is firmware in
    place of the board's own. `screen`: it has one. `events_fd` is the socket of a second monitor, at which somebody
    listens while the first one is asked.
    """

    name: str
    uuid: str
    profile: Profile
    accel: str
    memory: int
    cpus: int
    serial_log: str
    qmp_fd: int
    serial_fd: int
    events_fd: int
    nics: tuple[BootNic, ...] = ()
    nic_model: NicModel = NicModel.VIRTIO
    kernel: str | None = None
    modules: tuple[str, ...] = ()
    words: str = ""
    flash: Flash | None = None
    cdroms: tuple[Medium, ...] = ()
    floppy: Medium | None = None
    disks: tuple[Medium, ...] = ()
    network_boot: bool = False
    screen: bool = False
    own_filter: bool = True

    @property
    def has_media(self) -> bool:
        """Whether anything is read from files while it runs."""
        return bool(self.cdroms or self.floppy or self.disks or self.flash)


_NICS = {NicModel.VIRTIO: "virtio-net-pci", NicModel.E1000E: "e1000e"}
_FIRST, _CDS, _DISKS, _FLOPPY = 1, 10, 20, 30
"""Where the network, CDs, disks and the floppy are in the order of booting: that is seldom there to be booted from."""
FLOPPY_DRIVE = "drive-a"
_CODE, _VARIABLES = "firmware", "variables"


def cdrom_drive(index: int) -> str:
    """What QEMU calls the drive of a CD."""
    return f"cdrom{index}"


def plan_foreign_boot(boot: ForeignBoot) -> list[str]:
    """QEMU's arguments, without the program's own name."""
    return [
        *process_arguments(boot.name, boot.uuid, boot.accel, disks=boot.has_media, own_filter=boot.own_filter),
        *_board(boot),
        *_kernel(boot),
        *channel_arguments(boot.qmp_fd, boot.serial_fd, boot.serial_log),
        *("-chardev", f"socket,id=events,fd={boot.events_fd},server=on,wait=off"),
        *("-mon", "chardev=events,mode=control"),
        *_nics(boot),
        *_media(boot),
    ]


def _board(boot: ForeignBoot) -> Iterator[str]:
    board = {Profile.Q35: "q35,smm=off", Profile.PC: "pc,smm=off"}[boot.profile]
    # Without graphics the firmware and boot loaders have the serial line for a screen.
    board += ",vmport=off,mem-merge=off" + ("" if boot.screen else ",graphics=off")
    if boot.flash is not None:
        yield from _drive(_CODE, boot.flash.code)
        yield from _drive(_VARIABLES, boot.flash.variables)
        board += f",pflash0={_CODE},pflash1={_VARIABLES}"
    yield from ("-M", board)
    yield from ("-boot", "strict=on", "-m", f"{boot.memory >> 20}M", "-smp", str(boot.cpus))
    if boot.screen:
        # It listens nowhere. Else a viewer could ask to be the only one, and the others would be hung up on.
        yield from ("-device", "VGA", "-vnc", "none,share=ignore")


def _kernel(boot: ForeignBoot) -> Iterator[str]:
    if boot.kernel is None:
        return
    yield from ("-kernel", boot.kernel)
    if boot.modules:
        yield from ("-initrd", ",".join(boot.modules))
    if boot.words:
        yield from ("-append", boot.words)


def _nics(boot: ForeignBoot) -> Iterator[str]:
    for index, nic in enumerate(boot.nics):
        # Its ROM is what boots from the network. Where nothing is to, it would only take time.
        rom = f",bootindex={_FIRST}" if boot.network_boot and index == 0 else ",romfile="
        yield from ("-netdev", f"tap,id=net{index},fd={nic.tap_fd}")
        yield from ("-device", f"{_NICS[boot.nic_model]},netdev=net{index},mac={nic.mac}{rom}")


def _media(boot: ForeignBoot) -> Iterator[str]:
    for index, medium in enumerate(boot.cdroms):
        yield from _drive(f"cd{index}", medium)
        # The q35 board has a port for each drive; the other one has two lines, and a CD is usually at the second.
        bus = f"ide.{index}" if boot.profile is Profile.Q35 else f"ide.1,unit={index}"
        yield from ("-device", f"ide-cd,id={cdrom_drive(index)},drive=cd{index},bus={bus},bootindex={_CDS + index}")
    if boot.floppy is not None:
        yield from _floppy(boot.floppy, boot.profile)
    for index, medium in enumerate(boot.disks):
        yield from _drive(f"disk{index}", medium, discard=True)
        device = f"virtio-blk-pci,id=hd{index},drive=disk{index},write-cache=on,bootindex={_DISKS + index}"
        yield from ("-device", device)


def _floppy(medium: Medium, board: Profile) -> Iterator[str]:
    yield from _drive("floppy", medium)
    if board is Profile.Q35:
        yield from ("-device", "isa-fdc,id=fdc")
    # It is the controller that has a place in the order, also the one that the old board brings.
    yield from ("-global", f"isa-fdc.bootindexA={_FLOPPY}")
    # Such a drive knows no flush: what the machine writes is on the host's disk when it is told so.
    yield from ("-device", f"floppy,id={FLOPPY_DRIVE},unit=0,drive=floppy,drive-type=144,write-cache=off")


def _drive(node: str, medium: Medium, *, discard: bool = False) -> Iterator[str]:
    """The set of descriptors has the number of the one that is in it. `discard`: what is deleted is given back."""
    yield from ("-add-fd", f"fd={medium.fd},set={medium.fd}")
    if medium.read_only:
        access, locking = "read-only=on", "off"
    else:
        # QEMU's own lock stands behind ours, which other QEMUs do not know: no second writer, whoever it is.
        access, locking = "read-only=off", "on"
    back = ("discard=unmap", "file.discard=unmap") if discard else ()
    file = f"file.driver=file,file.filename=/dev/fdset/{medium.fd},file.locking={locking}"
    yield from ("-blockdev", ",".join([f"driver={medium.format},node-name={node},{access}", *back, file]))
