"""Numbers of the host's ledger: what is promised, granted and free, and what rooms lend each other."""

from weft.api.metrics.sheet import Family, Sheet
from weft.model.host import HostView, RoomShare

_ROOM = ("room",)

FAMILIES = (
    Family("weft_host_memory_reserve_bytes", "Memory kept for the host itself."),
    Family("weft_host_memory_capacity_bytes", "Memory that may be promised and granted, overcommit included."),
    Family("weft_host_memory_promised_bytes", "Memory promised to rooms and machines."),
    Family("weft_host_memory_granted_bytes", "Memory kept for machines that run."),
    Family("weft_host_memory_free_bytes", "Memory that could still be granted."),
    Family("weft_host_cpus_promised", "Processors promised to rooms and machines."),
    Family("weft_host_cpus_granted", "Processors kept for machines that run."),
    Family("weft_host_tight", "1: it is short of memory, or was a moment ago."),
    Family("weft_room_memory_promised_bytes", "Its guarantee, or what its machines are promised.", _ROOM),
    Family("weft_room_memory_lends_bytes", "Of what it is promised, what machines of other rooms have now.", _ROOM),
    Family("weft_room_memory_borrows_bytes", "What its machines have of other rooms' promises.", _ROOM),
    Family("weft_room_memory_gave_bytes", "What its machines gave back when the host was short.",
           _ROOM),
    Family("weft_room_cpus_promised", "Its guarantee, or what its machines are promised.", _ROOM),
)  # fmt: skip


def fill(sheet: Sheet, host: HostView) -> None:
    """The samples of the ledger."""
    sheet.add("weft_host_memory_reserve_bytes", host.reserve)
    sheet.add("weft_host_memory_capacity_bytes", host.capacity)
    sheet.add("weft_host_memory_promised_bytes", host.promised)
    sheet.add("weft_host_memory_granted_bytes", host.granted)
    sheet.add("weft_host_memory_free_bytes", host.free)
    sheet.add("weft_host_cpus_promised", host.cpus_promised)
    sheet.add("weft_host_cpus_granted", host.cpus_granted)
    sheet.add("weft_host_tight", float(host.tight))
    for share in host.rooms:
        _add_room(sheet, share)


def _add_room(sheet: Sheet, share: RoomShare) -> None:
    sheet.add("weft_room_memory_promised_bytes", share.promised, room=share.name)
    sheet.add("weft_room_memory_lends_bytes", share.lends, room=share.name)
    sheet.add("weft_room_memory_borrows_bytes", share.borrows, room=share.name)
    sheet.add("weft_room_memory_gave_bytes", share.gave, room=share.name)
    sheet.add("weft_room_cpus_promised", share.cpus_promised, room=share.name)
