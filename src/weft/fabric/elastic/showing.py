"""How elastic a machine is shown to be."""

from weft.fabric.elastic.granting import granted, range_of
from weft.fabric.elastic.levers import Effective
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.model.elastic import ElasticView, Resource, ResourceView

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
        request=machine.find_request(resource),
        lost=record.lost.get(resource, "") if record else "",
    )


def _find_mechanism(machine: MachineRecord, record: ElasticRecord | None, resource: Resource) -> str:
    if resource is Resource.MEMORY:
        return machine.memory_mode.value
    return record.mode.value if record else ""
