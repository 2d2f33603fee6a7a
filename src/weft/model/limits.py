"""What a machine may take of its host at most, and its share where several want the same."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_WEIGHT = 100
MIN_RATE, MAX_RATE = 4096, 1 << 40
"""Bytes a second: less than a page a second is no disk or network."""


def rate_field(description: str) -> Any:
    """Bytes a second, or no limit."""
    return Field(default=None, ge=MIN_RATE, le=MAX_RATE, description=description)


def count_field(description: str, most: int = 1 << 32) -> Any:
    """A number of at most `most`, or no limit."""
    return Field(default=None, ge=1, le=most, description=description)


class LimitsSpec(BaseModel):
    """Limits beside those that processors and memory are by themselves; what is None is not limited.

    Of disks and NICs they are for all of a machine's together. `in` is what it receives, `out` what it sends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_weight: int | None = count_field("its share of processors that others of its room want too; None: 100", 10000)
    disk_read: int | None = rate_field("bytes a second from its disks")
    disk_write: int | None = rate_field("bytes a second to its disks")
    disk_read_ops: int | None = count_field("reads a second")
    disk_write_ops: int | None = count_field("writes a second")
    net_in: int | None = rate_field("bytes a second that it receives")
    net_out: int | None = rate_field("bytes a second that it sends")
    net_in_packets: int | None = count_field("packets a second that it receives")
    net_out_packets: int | None = count_field("packets a second that it sends")

    @property
    def weight(self) -> int:
        """Its share of processors, between 1 and 10000."""
        return self.cpu_weight or DEFAULT_WEIGHT

    @property
    def of_disks(self) -> bool:
        """Whether its disks are limited."""
        return any((self.disk_read, self.disk_write, self.disk_read_ops, self.disk_write_ops))

    @property
    def of_network(self) -> bool:
        """Whether its NICs are limited."""
        return any((self.net_in, self.net_out, self.net_in_packets, self.net_out_packets))


NO_LIMITS = LimitsSpec()
