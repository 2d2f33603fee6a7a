"""Numbers of the host, and which Weft this is."""

from weft import __version__
from weft.api.metrics.sheet import Family, Sheet
from weft.host.facts import HostFacts, read_available

FAMILIES = (
    Family("weft_info", "Always 1; which Weft, and what its machines run on.", ("version", "accelerator", "qemu")),
    Family("weft_host_cpus", "Processors that machines may run on."),
    Family("weft_host_memory_bytes", "Memory of the host."),
    Family("weft_host_memory_available_bytes", "Memory that it could give to programs now."),
)


def fill(sheet: Sheet, facts: HostFacts) -> None:
    """The samples of the host."""
    qemu = ".".join(map(str, facts.qemu_version))
    sheet.add("weft_info", 1, version=__version__, accelerator=facts.accel, qemu=qemu)
    sheet.add("weft_host_cpus", facts.cpus)
    sheet.add("weft_host_memory_bytes", facts.memory_bytes)
    sheet.add("weft_host_memory_available_bytes", read_available())
