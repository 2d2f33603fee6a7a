"""How elastic a machine's next run will be."""

from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.site import Site
from weft.model.elastic import CpuMode
from weft.plan.boot import BootElastic
from weft.plan.elastic.memory import lay_out, round_up


def begin_elastic(site: Site, machine: MachineRecord) -> ElasticRecord | None:
    """What its record says when it is started; None: its size is fixed."""
    spec = machine.spec.elastic
    if spec is None:
        return None
    layout = lay_out(machine.spec.profile, machine.memory, spec.max_memory or machine.memory)
    mode = CpuMode.PARKED if (spec.max_cpus or 0) > machine.spec.cpus else CpuMode.FIXED
    return ElasticRecord(
        boot=layout.boot, region=layout.region, mode=mode, memory=round_up(machine.memory), cpus=machine.spec.cpus
    )


def boot_elastic(machine: MachineRecord, region_fd: int | None) -> BootElastic | None:
    """What its QEMU is told of that; `region_fd` is of the memory that it can get."""
    if machine.elastic is None:
        return None
    return BootElastic(
        max_cpus=(machine.spec.elastic and machine.spec.elastic.max_cpus) or machine.spec.cpus,
        parked=machine.elastic.mode is CpuMode.PARKED,
        region=machine.elastic.region,
        region_fd=region_fd,
    )
