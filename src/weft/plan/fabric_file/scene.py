"""One room of a file under check: what is in it, what is known of it, and what was left out of it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network

from weft.model.errors import WeftError
from weft.model.fabric_file import InsertFile, RoomFile
from weft.model.image import ImageManifest, NicRole
from weft.model.machine_file import MachineFile, NicFile
from weft.model.names import DEFAULT_NETWORK
from weft.plan.address import plan_subnet
from weft.plan.fabric_file.knowledge import Knowledge
from weft.plan.fabric_file.places import Path


@dataclass(frozen=True)
class Scene:
    """`spoiled` are paths that have been told of already."""

    name: str
    room: RoomFile
    knowledge: Knowledge
    spoiled: frozenset[Path] = frozenset()
    _images: dict[str, ImageManifest | WeftError | None] = field(default_factory=dict, repr=False, compare=False)

    def path(self, *steps: str | int) -> Path:
        """Where something of this room stands in the file."""
        return ("rooms", self.name, *steps)

    def is_spoiled(self, *steps: str | int) -> bool:
        """Whether something there, or around it, was left out, so that it is not what was meant."""
        path = self.path(*steps)
        return any(path[: len(gone)] == gone for gone in self.spoiled)

    def nics(self, name: str) -> tuple[NicFile, ...] | None:
        """A machine's NICs; None when they are not known, because its image says which there are."""
        machine = self.room.machines[name]
        if machine.networks is not None:
            return None if self.is_spoiled("machines", name, "networks") else machine.networks
        image = self.find_image(machine)
        if image is None:
            return None
        return tuple(NicFile(network=DEFAULT_NETWORK) for nic in image.nics if nic.role is NicRole.LAN)

    def find_image(self, part: MachineFile | InsertFile) -> ImageManifest | None:
        """What is known of an image; None if nothing is."""
        found = self.ask_image(part)
        return None if isinstance(found, WeftError) else found

    def ask_image(self, part: MachineFile | InsertFile) -> ImageManifest | WeftError | None:
        """The same, or why nothing is known."""
        key = part.build or part.image_name
        if key not in self._images:
            try:
                known = self.knowledge
                self._images[key] = known.read_recipe(key) if part.build else known.find_image(key) if key else None
            except WeftError as err:
                self._images[key] = err
        return self._images[key]

    @cached_property
    def subnets(self) -> dict[str, IPv4Network]:
        """Of all networks; those that leave it to the fabric get one as that would give it."""
        chosen = {name: network.subnet for name, network in self.room.networks.items() if network.subnet}
        for name in self.room.networks:
            if name not in chosen:
                chosen[name] = plan_subnet(None, list(chosen.values()))
        return {name: chosen[name] for name in self.room.networks}

    def members(self, network: str) -> Iterator[tuple[str, int, NicFile]]:
        """NICs on a network: machine, number, NIC."""
        for name in self.room.machines:
            for number, nic in enumerate(self.nics(name) or ()):
                if nic.network == network:
                    yield name, number, nic
