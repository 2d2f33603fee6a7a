"""The arithmetic of the benchmarks: a figure is worth what its definition is."""

import struct
from collections import Counter

import pytest
from benchmarks.failopen import judge
from benchmarks.harness.leftovers import Snapshot, compare_snapshots
from benchmarks.harness.report import percentile, summarize
from benchmarks.harness.traffic import Sight, compare, parse_counters
from benchmarks.takeover import find_silences, worst_near


def capture(*numbers: int) -> bytes:
    """A capture file of iperf3's datagrams, one a millisecond."""
    records = b""
    for at, number in enumerate(numbers):
        frame = bytes(50) + struct.pack("!I", number)
        records += struct.pack("<IIII", 0, at * 1_000_000, len(frame), len(frame)) + frame
    return bytes(24) + records


def stream(count: int, *, missing: range = range(0), late: float = 0.0001) -> tuple[list[Sight], list[Sight]]:
    """What two taps see of a packet every millisecond, from second 1 on."""
    sent = [Sight(1 + number / 1000, number) for number in range(count)]
    seen = [Sight(sight.time + late, sight.number) for sight in sent if sight.number not in missing]
    return sent, seen


def test_a_percentile_is_a_sample() -> None:
    assert [percentile([5, 1, 4, 2, 3], percent) for percent in (0, 20, 50, 99, 100)] == [1, 1, 3, 5, 5]
    assert summarize([2.0, 4.0]) == {"count": 2, "min": 2, "p50": 3, "p99": 4, "max": 4}


def test_captures_are_compared_by_number() -> None:
    assert compare(capture(0, 1, 2, 3), capture(0, 2, 1, 1)) == {
        "sent": 4,
        "arrived": 4,
        "lost": 1,
        "duplicates": 1,
        "out_of_order": 1,
    }


def test_an_incomplete_capture_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="not complete"):
        compare(capture(0), capture(0, 1))


def test_traffic_is_back_with_the_first_packet_behind_the_last_lost_one() -> None:
    sent, seen = stream(2000, missing=range(495, 520))
    result = judge(1.5, 3.0, sent, seen)
    assert result["back"] == pytest.approx(20.1)
    assert (result["lost_inside"], result["lost_after"]) == (5, 20)


def test_where_nothing_is_lost_the_next_packet_counts() -> None:
    assert judge(1.5005, 3.0, *stream(2000))["back"] == pytest.approx(0.6)


def test_counters_are_read_by_kind_and_name() -> None:
    text = "Udp: InDatagrams RcvbufErrors\nUdp: 7 0\nTcp: RetransSegs\nTcp: 3\n"
    assert parse_counters(text) == {"Udp.InDatagrams": 7, "Udp.RcvbufErrors": 0, "Tcp.RetransSegs": 3}


def test_snapshots_differ_by_what_came_and_what_went() -> None:
    before: Snapshot = {"links": Counter({"t1.0": 1, "t2.0": 1}), "files": Counter()}
    after: Snapshot = {"links": Counter({"t1.0": 1, "t9.0": 1}), "files": Counter()}
    assert compare_snapshots(before, after) == ({"links": ["t9.0"]}, {"links": ["t2.0"]})


def test_a_silence_lasts_from_what_was_sent_until_something_arrives() -> None:
    sent, seen = stream(100, missing=range(40, 60))
    longest = max(find_silences(sent, seen), key=lambda silence: silence.length)
    assert longest.end == pytest.approx(1.0601)
    assert longest.length == pytest.approx(20.1)


def test_a_pause_of_the_sender_is_no_silence() -> None:
    sent = [Sight(1.0, 0), Sight(2.0, 1), Sight(2.001, 2)]
    seen = [Sight(sight.time + 0.003, sight.number) for sight in sent]
    silences = find_silences(sent, seen)
    assert max(silence.length for silence in silences) == pytest.approx(3)
    assert worst_near(silences, 2.0) == pytest.approx(3)
    assert worst_near(silences, 5.0) == 0
