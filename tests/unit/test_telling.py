"""What machines tell becomes events, within bounds."""

import itertools

from weft.fabric.events import KEPT, SHARE, EventLog, RoomEvents
from weft.fabric.telling import BURST, Telling
from weft.guest.protocol import MachineEvent


async def test_what_a_machine_tells_is_an_event() -> None:
    events = RoomEvents(EventLog(lambda: 1.0), "default")
    Telling(events, lambda: 1.0).on_event("ids", MachineEvent("alert", "scan\x1b[2J from 10.0.0.2"))
    (event,) = events.since(0)
    assert (event.kind, event.subject, event.text) == ("machine.told", "ids", "ids: alert: scan [2J from 10.0.0.2")
    assert event.data == {"what": "alert", "said": "scan [2J from 10.0.0.2"}


async def test_a_machine_that_tells_too_much_is_passed_over_and_that_is_told() -> None:
    events, clock = (
        RoomEvents(EventLog(lambda: 1.0), "default"),
        itertools.chain([0.0] * (BURST + 7), itertools.repeat(1.0)),
    )
    telling = Telling(events, lambda: next(clock))
    for number in range(BURST + 8):
        telling.on_event("ids", MachineEvent("alert", str(number)))
    told = [event.data for event in events.since(0)]
    assert len(told) == BURST + 2
    assert told[-2:] == [
        {"what": "passed-over", "said": "7 events were too many"},
        {"what": "alert", "said": str(BURST + 7)},
    ]
    telling.on_event("other", MachineEvent("alert", "mine"))
    assert events.since(0)[-1].subject == "other"


async def test_who_tells_without_end_drives_out_his_own_events_alone() -> None:
    log = EventLog(lambda: 1.0)
    loud, quiet = RoomEvents(log, "a"), RoomEvents(log, "b")
    quiet.publish("machine.ready", "web", "its own")
    for number in range(3 * KEPT):
        loud.publish("machine.told", "ids", str(number))
    assert [event.subject for event in quiet.since(0)] == ["web"]
    for number in range(KEPT):
        quiet.publish("machine.ready", f"m{number % 50}", "of many")
        loud.publish("machine.told", "ids", "more")
    assert len(loud.since(0)) == SHARE
    assert len(log.since(0)) == KEPT
