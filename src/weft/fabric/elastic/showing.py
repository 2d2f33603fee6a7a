"""How elastic a machine is shown to be."""

from weft.fabric.elastic.granting import granted, range_of
from weft.fabric.elastic.levers import Effective
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.model.elastic import ElasticView, MemoryMode, Resource, ResourceView, ScaleRequest
from weft.model.machine import Profile

UNKNOWN = Effective()


def show(machine: MachineRecord, cpus: Effective = UNKNOWN, memory: Effective = UNKNOWN) -> ElasticView | None:
    """A machine with what QEMU and its kernel say; None: its size is fixed."""
    if machine.spec.elastic is None:
        return None
    lost = machine.elastic.lost if machine.elastic else {}
    return ElasticView(
        name=machine.name,
        cpus=_show_resource(machine, Resource.CPUS, cpus),
        memory=_show_resource(machine, Resource.MEMORY, memory),
        policy=machine.spec.elastic.policy,
        lost="; ".join(f"{resource}: {why}" for resource, why in lost.items()),
    )


def _show_resource(machine: MachineRecord, resource: Resource, effective: Effective) -> ResourceView:
    least, most = range_of(machine, resource)
    record = machine.elastic if machine.state.is_live else None
    return ResourceView(
        minimum=least,
        maximum=most,
        mechanism=_find_mechanism(machine, record, resource),
        granted=granted(machine, resource) if record else None,
        qemu=effective.qemu,
        guest=effective.guest,
        request=find_request(machine, resource),
        lost=record.lost.get(resource, "") if record else "",
    )


def find_request(machine: MachineRecord, resource: Resource) -> ScaleRequest | None:
    """The last one."""
    requests = machine.elastic.requests if machine.elastic else ()
    return next((request for request in requests if request.resource is resource), None)


def _find_mechanism(machine: MachineRecord, record: ElasticRecord | None, resource: Resource) -> str:
    least, most = range_of(machine, resource)
    if resource is Resource.CPUS:
        return record.mode.value if record else ""
    if least == most:
        return MemoryMode.FIXED.value
    microvm = machine.spec.profile is Profile.MICROVM
    return MemoryMode.BALLOON.value if microvm else MemoryMode.VIRTIO_MEM.value
