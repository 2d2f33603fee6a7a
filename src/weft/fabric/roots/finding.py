"""Where a machine's root is served, and what of it is on the host."""

from dataclasses import dataclass
from pathlib import Path

from weft.fabric.layout import MachineFiles
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.image.store import folder_name


@dataclass(frozen=True, slots=True)
class Home:
    """The NIC by which a machine reaches its root, which of its NICs that is, and the network whose gateway has it."""

    nic: NicRecord
    number: int
    network: NetworkRecord


@dataclass(frozen=True, slots=True)
class RootFiles:
    """The files of one machine with the root of one image: what it is, and what the machine has changed."""

    folder: Path

    @classmethod
    def of(cls, files: MachineFiles, image: str) -> "RootFiles":
        """Those of an image, by its full name: with another one a machine begins anew."""
        return cls(files.roots / folder_name(image))

    @property
    def pack(self) -> Path:
        """The image's root as it was when the first change was made."""
        return self.folder / "root.p9"

    @property
    def changes(self) -> Path:
        return self.folder / "changes"


def find_home(site: Site, machine: MachineRecord) -> Home | None:
    """The first of its networks whose gateway is the fabric; None: there is none, or it needs no root."""
    if machine.spec.served_root is None:
        return None
    for number, nic in enumerate(machine.nics):
        network = site.shelves.networks.find(nic.network) if nic.network else None
        if network is not None and network.has_gateway_port and nic.address is not None:
            return Home(nic, number, network)
    return None
