"""Numbers of each room: all its machines together."""

from collections import Counter

from weft.api.metrics.sheet import Family, Sheet
from weft.fabric.metering import RoomReading
from weft.model.elastic import Resource, ScaleState
from weft.model.insert import InsertState
from weft.model.machine import State

FAMILIES = (
    Family("weft_room_up", "0: it could not be opened, and nothing else is known of it.", ("room",)),
    Family("weft_room_machines", "Machines in this state.", ("room", "state")),
    Family("weft_room_inserts", "Inserts in this state.", ("room", "state")),
    Family("weft_room_scale_requests", "Elastic machines whose last request for another size is in this state.",
           ("room", "resource", "state")),
    Family("weft_room_cpus_granted", "Processors that the host keeps for machines that run.", ("room",)),
    Family("weft_room_memory_granted_bytes", "Memory that the host keeps for machines that run.", ("room",)),
    Family("weft_room_cpu_seconds_total", "Processor time of all machines it has had, while its group was there.",
           ("room",)),
)  # fmt: skip


def fill(sheet: Sheet, rooms: list[RoomReading]) -> None:
    """The samples of all rooms."""
    for room in rooms:
        sheet.add("weft_room_up", float(room.is_open), room=room.name)
        if room.is_open:
            _add_room(sheet, room)


def _add_room(sheet: Sheet, room: RoomReading) -> None:
    machines = [reading.machine for reading in room.machines]
    states = Counter(machine.state for machine in machines)
    for state in State:
        sheet.add("weft_room_machines", states[state], room=room.name, state=state)
    for wiring in InsertState:
        sheet.add("weft_room_inserts", room.inserts.get(wiring, 0), room=room.name, state=wiring)
    requests = Counter(
        (request.resource, request.state)
        for machine in machines
        if machine.elastic and machine.state.is_live
        for request in machine.elastic.requests
    )
    for resource in Resource:
        for outcome in ScaleState:
            count = requests[resource, outcome]
            sheet.add("weft_room_scale_requests", count, room=room.name, resource=resource, state=outcome)
    live = [machine for machine in machines if machine.state.is_live]
    sheet.add("weft_room_cpus_granted", sum(machine.granted_cpus for machine in live), room=room.name)
    sheet.add("weft_room_memory_granted_bytes", sum(machine.granted_memory for machine in live), room=room.name)
    sheet.add("weft_room_cpu_seconds_total", room.cpu_seconds, room=room.name)
