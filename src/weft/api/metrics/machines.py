"""Numbers of each machine."""

from weft.api.metrics.sheet import Family, Sheet
from weft.fabric.metering import Reading, RoomReading
from weft.model.machine import State

_WHOSE = ("room", "machine", "image")
_NIC = (*_WHOSE, "nic", "network")
_PRESSURE = ("cpu", "memory", "io")

FAMILIES = (
    Family("weft_machine_running", "1: it runs; 0: it does not, or is not ready yet.", _WHOSE),
    Family("weft_machine_agent_up", "Whether its agent has answered; none if nobody asked it.", _WHOSE),
    Family("weft_machine_healthy", "Whether its health check passes; none if it has no check.", _WHOSE),
    Family("weft_machine_start_time_seconds", "When it was last started, since the epoch.", _WHOSE),
    Family("weft_machine_restarts_total", "How often its restart policy has started it again.", _WHOSE),
    Family("weft_machine_cpu_seconds_total", "Processor time of the host since its start.", _WHOSE),
    Family("weft_machine_cpus_granted", "Processors that the host keeps for it.", _WHOSE),
    Family("weft_machine_memory_granted_bytes", "Memory that the host keeps for it.", _WHOSE),
    Family("weft_machine_memory_resident_bytes", "Host memory its QEMU holds, shared or not.", _WHOSE),
    Family("weft_machine_memory_additional_bytes", "Host memory it costs: its own, and its share of what is shared. "
           "Some scrapes old where there are many machines.", _WHOSE),
    Family("weft_machine_memory_bytes", "Memory the guest has for itself, by its own word.", _WHOSE),
    Family("weft_machine_memory_used_bytes", "Of that, what it cannot give up.", _WHOSE),
    Family("weft_machine_processes", "Processes in the guest, threads of its kernel included.", _WHOSE),
    Family("weft_machine_oom_kills_total", "Processes that the guest's kernel has killed for want of memory.", _WHOSE),
    Family("weft_machine_waiting_seconds_total", "Time in which something in the guest waited for `resource`: cpu, "
           "memory or io.", (*_WHOSE, "resource")),
    Family("weft_machine_disk_read_bytes_total", "Read from the host's disks.", _WHOSE),
    Family("weft_machine_disk_written_bytes_total", "Written to the host's disks.", _WHOSE),
    Family("weft_machine_network_receive_bytes_total", "Received by a NIC.", _NIC),
    Family("weft_machine_network_transmit_bytes_total", "Sent by a NIC.", _NIC),
    Family("weft_machine_network_receive_frames_total", "Frames received by a NIC.", _NIC),
    Family("weft_machine_network_transmit_frames_total", "Frames sent by a NIC.", _NIC),
)  # fmt: skip


def fill(sheet: Sheet, rooms: list[RoomReading], *, asked: bool) -> None:
    """The samples of all machines."""
    for room in rooms:
        for reading in room.machines:
            machine = reading.machine
            whose = {"room": room.name, "machine": machine.name, "image": machine.spec.image}
            _add_state(sheet, reading, whose, asked=asked)
            if reading.usage is not None:
                _add_use(sheet, reading, whose)
                _add_nics(sheet, reading, whose)
            if reading.facts is not None:
                _add_facts(sheet, reading, whose)


def _add_state(sheet: Sheet, reading: Reading, whose: dict[str, str], *, asked: bool) -> None:
    machine = reading.machine
    running = machine.state is State.RUNNING
    sheet.add("weft_machine_running", float(running), **whose)
    if running and (asked or reading.facts):
        sheet.add("weft_machine_agent_up", float(reading.facts is not None), **whose)
    sheet.add("weft_machine_healthy", None if reading.healthy is None else float(reading.healthy), **whose)
    sheet.add("weft_machine_start_time_seconds", machine.started, **whose)
    sheet.add("weft_machine_restarts_total", machine.restarts, **whose)


def _add_use(sheet: Sheet, reading: Reading, whose: dict[str, str]) -> None:
    usage, machine = reading.usage, reading.machine
    assert usage is not None
    sheet.add("weft_machine_cpu_seconds_total", reading.cpu_seconds, **whose)
    sheet.add("weft_machine_cpus_granted", machine.granted_cpus, **whose)
    sheet.add("weft_machine_memory_granted_bytes", machine.granted_memory, **whose)
    sheet.add("weft_machine_memory_resident_bytes", usage.resident, **whose)
    sheet.add("weft_machine_memory_additional_bytes", reading.additional, **whose)
    sheet.add("weft_machine_disk_read_bytes_total", usage.read_bytes, **whose)
    sheet.add("weft_machine_disk_written_bytes_total", usage.written_bytes, **whose)


def _add_facts(sheet: Sheet, reading: Reading, whose: dict[str, str]) -> None:
    facts = reading.facts
    assert facts is not None
    sheet.add("weft_machine_memory_bytes", facts.memory_own, **whose)
    sheet.add("weft_machine_memory_used_bytes", facts.memory_used, **whose)
    sheet.add("weft_machine_processes", facts.processes, **whose)
    sheet.add("weft_machine_oom_kills_total", facts.oom_kills, **whose)
    for resource in _PRESSURE:
        if pressure := facts.pressure.get((resource, "some")):
            waited = pressure.total_us / 1e6
            sheet.add("weft_machine_waiting_seconds_total", waited, resource=resource, **whose)


def _add_nics(sheet: Sheet, reading: Reading, whose: dict[str, str]) -> None:
    """What its tap has sent, the machine has received."""
    for number, tap in reading.traffic.items():
        nic = {**whose, "nic": str(number), "network": reading.machine.nics[number].network or ""}
        sheet.add("weft_machine_network_receive_bytes_total", tap.sent, **nic)
        sheet.add("weft_machine_network_transmit_bytes_total", tap.received, **nic)
        sheet.add("weft_machine_network_receive_frames_total", tap.frames_sent, **nic)
        sheet.add("weft_machine_network_transmit_frames_total", tap.frames_received, **nic)
