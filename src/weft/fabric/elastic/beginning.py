"""How elastic a machine's next run will be."""

from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.site import Site
from weft.host.hotplug import Verdict, Verdicts
from weft.model.elastic import CpuMode
from weft.model.machine import Profile
from weft.plan.boot import BootElastic
from weft.plan.elastic.memory import lay_out, round_up


def begin_elastic(site: Site, machine: MachineRecord) -> ElasticRecord | None:
    """What its record says when it is started; None: its size is fixed."""
    spec = machine.spec.elastic
    if spec is None:
        return None
    layout = lay_out(machine.spec.profile, machine.memory, spec.max_memory or machine.memory)
    mode = _choose_mode(site, machine) if (spec.max_cpus or 0) > machine.spec.cpus else CpuMode.FIXED
    return ElasticRecord(
        boot=layout.boot, region=layout.region, mode=mode, memory=round_up(machine.memory), cpus=machine.spec.cpus
    )


def wants_trial(site: Site, machine: MachineRecord) -> bool:
    """Whether it depends on a trial that was not made yet how its processors come and go."""
    could = machine.spec.profile is Profile.Q35 and site.settings.hotplug == "auto"
    return could and find_verdict(site, machine) is None


def find_verdict(site: Site, machine: MachineRecord) -> Verdict | None:
    """Whether hot-plug of processors works with its kernel; None: nobody knows. Raises NotFound: there is no kernel."""
    if site.settings.hotplug != "auto":
        return Verdict(site.settings.hotplug == "yes")
    return Verdicts(site.home / "run", site.facts).find(site.kernels.get(machine.kernel).digest)


def _choose_mode(site: Site, machine: MachineRecord) -> CpuMode:
    """A microvm has no bus that processors could come by."""
    if machine.spec.profile is Profile.MICROVM:
        return CpuMode.PARKED
    verdict = find_verdict(site, machine)
    return CpuMode.HOTPLUG if verdict is not None and verdict.works else CpuMode.PARKED


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
