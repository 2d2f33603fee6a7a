"""Limits of a machine as a fabric file describes them."""

from weft.model.file_part import Part
from weft.model.file_words import Size
from weft.model.limits import LimitsSpec, count_field, rate_field

RATES = ("disk_read", "disk_write", "net_in", "net_out")
"""Those in bytes a second, written like `10M`."""


class LimitsFile(Part):
    """What a machine may take of the host beside its CPUs and memory; what is not said is not limited."""

    cpu_weight: int | None = count_field("its share of CPUs that others of its room want too; 100 without", 10000)
    disk_read: Size | None = rate_field("bytes a second from all its disks")
    disk_write: Size | None = rate_field("bytes a second to all its disks")
    disk_read_ops: int | None = count_field("reads a second")
    disk_write_ops: int | None = count_field("writes a second")
    net_in: Size | None = rate_field("bytes a second that it receives on all its NICs")
    net_out: Size | None = rate_field("bytes a second that it sends")
    net_in_packets: int | None = count_field("packets a second that it receives")
    net_out_packets: int | None = count_field("packets a second that it sends")

    def to_spec(self) -> LimitsSpec:
        """The limits as a machine's spec has them."""
        return LimitsSpec(**self.model_dump())
