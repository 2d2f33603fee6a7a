"""Where a fabric keeps its files. All of them are below one folder, its home."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one fabric, or of a room of it; store, socket and lock are the fabric's alone."""

    home: Path

    @property
    def store(self) -> Path:
        return self.home / "weft.db"

    @property
    def socket(self) -> Path:
        """Where the API listens."""
        return self.home / "weft.sock"

    @property
    def files(self) -> Path:
        """Where the fabric is served as files, over 9P."""
        return self.home / "9p.sock"

    @property
    def lock(self) -> Path:
        """Held by the one daemon of this home."""
        return self.home / "weft.lock"

    @property
    def run(self) -> Path:
        """What is void after a reboot of the host."""
        return self.home / "run"

    @property
    def machines(self) -> Path:
        return self.home / "machines"

    def room(self, name: str) -> "Layout":
        """The layout of a room other than the default one, whose folder is the fabric's."""
        return Layout(self.home / "rooms" / name)

    @property
    def pool(self) -> "Layout":
        """Where copies are that pools keep: their folders move when they become machines."""
        return Layout(self.home / "pool")

    @property
    def volumes(self) -> Path:
        return self.home / "volumes"

    def volume(self, name: str) -> Path:
        """The folder of one volume; its content is in `disk.img`."""
        return self.volumes / name

    @property
    def snapshots(self) -> Path:
        """A folder for each snapshot."""
        return self.home / "snapshots"

    def network(self, name: str) -> Path:
        """Where a network's name server has its files."""
        return self.home / "networks" / name

    def netboot(self, network: str) -> Path:
        """What machines boot from which do so from this network, and what serves it to them."""
        return self.home / "netboot" / network

    def machine(self, name: str) -> "MachineFiles":
        """The folder of one machine."""
        return MachineFiles(self.machines / name)

    def create(self) -> None:
        """Make the folders, for the owner only."""
        for folder in (self.home, self.run, self.machines):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class MachineFiles:
    """The files of one machine."""

    folder: Path

    @property
    def initrd(self) -> Path:
        """Our init and what this machine is told at boot."""
        return self.folder / "initrd"

    @property
    def ini(self) -> Path:
        """The boot parameters of a Plan 9 machine."""
        return self.folder / "plan9.ini"

    @property
    def log(self) -> Path:
        """What the machine writes to its serial line."""
        return self.folder / "serial.log"

    @property
    def errors(self) -> Path:
        """What QEMU and the programs around it complain about."""
        return self.folder / "qemu.log"

    @property
    def history(self) -> Path:
        """What it used, minute by minute."""
        return self.folder / "history"

    @property
    def disk(self) -> Path:
        """What the image wants kept from run to run, as long as there is the machine."""
        return self.folder / "volumes.img"

    @property
    def ports(self) -> Path:
        """The process that leads the host's ports to it."""
        return self.folder / "ports.json"

    @property
    def root_server(self) -> Path:
        """The process that serves it its root."""
        return self.folder / "root.json"

    @property
    def roots(self) -> Path:
        """A folder for each image whose root it has changed."""
        return self.folder / "roots"

    @property
    def floppy(self) -> Path:
        """What an appliance keeps: its settings."""
        return self.folder / "floppy.img"

    def variables(self, disk_format: str) -> Path:
        """The variables of a machine's firmware, in a file of this format."""
        return self.folder / f"variables.{disk_format}"

    @property
    def next(self) -> "MachineFiles":
        """The sockets of a QEMU that is about to take over."""
        return MachineFiles(self.folder / "next")

    def channel(self, name: str) -> Path:
        """The socket `qmp`, `serial` or `agent`."""
        return self.folder / f"{name}.sock"

    @property
    def moment(self) -> Path:
        """What a suspended machine goes on from."""
        return self.folder / "moment"

    @property
    def qmp(self) -> Path:
        return self.folder / "qmp.sock"

    @property
    def serial(self) -> Path:
        return self.folder / "serial.sock"

    @property
    def events(self) -> Path:
        """Where QEMU tells how a machine with a system of its own ends."""
        return self.folder / "events.sock"

    @property
    def agent(self) -> Path:
        return self.folder / "agent.sock"
