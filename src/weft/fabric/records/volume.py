"""What the store remembers of a volume."""

from weft.fabric.records.record import Record
from weft.model.volume import VolumeSpec


class VolumeRecord(Record):
    """A volume. `made`: its disk has been whole; one that is missing since is lost, and not made anew."""

    spec: VolumeSpec
    created: float
    made: bool = False
    removing: bool = False

    @property
    def name(self) -> str:
        return self.spec.name
