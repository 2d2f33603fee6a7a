"""Whether an appliance still carries frames, with the times brought along."""

import pytest

from weft.plan.heart import REMEMBERED, HeartPolicy, Pulse, Verdict, judge

POLICY = HeartPolicy(interval=0.05, timeout=0.2, steady=0.5)


def look(pulse: Pulse, now: float, *, stopped: bool = False, trusted: bool = True) -> Verdict:
    return judge(pulse, now, POLICY, stopped=stopped, trusted=trusted)


def echo(pulse: Pulse, sequence: int, now: float) -> None:
    """A heartbeat comes out at both sides."""
    for inward in (True, False):
        pulse.heard(sequence, now, POLICY, inward=inward)


def beating(until: float) -> Pulse:
    """An appliance that has answered every heartbeat at once."""
    pulse = Pulse()
    for sequence in range(int(until / POLICY.interval) + 1):
        now = sequence * POLICY.interval
        pulse.sent(sequence, now)
        echo(pulse, sequence, now + 0.001)
    return pulse


def test_nothing_is_known_before_something_came_through() -> None:
    pulse = Pulse()
    assert look(pulse, 0) is Verdict.UNKNOWN
    pulse.sent(0, 0.0)
    assert look(pulse, 0.9 * POLICY.timeout) is Verdict.UNKNOWN


def test_an_appliance_that_hung_before_we_came_is_seen() -> None:
    pulse = Pulse()
    pulse.sent(0, 0.0)
    assert look(pulse, 1.1 * POLICY.timeout) is Verdict.HUNG


def test_both_directions_must_work() -> None:
    pulse = Pulse()
    pulse.sent(0, 0.0)
    pulse.heard(0, 0.01, POLICY, inward=True)
    assert look(pulse, 0.02) is Verdict.UNKNOWN
    pulse.heard(0, 0.03, POLICY, inward=False)
    assert look(pulse, 0.04) is Verdict.ALIVE


def test_one_direction_alone_that_falls_silent_is_a_hang() -> None:
    pulse = beating(1.0)
    for sequence in range(21, 30):
        pulse.sent(sequence, sequence * 0.05)
        pulse.heard(sequence, sequence * 0.05, POLICY, inward=True)
    assert look(pulse, 1.05 + 0.9 * POLICY.timeout) is Verdict.ALIVE
    assert look(pulse, 1.05 + POLICY.timeout + 0.01) is Verdict.HUNG


def test_a_daemon_that_was_too_busy_to_send_blames_nobody() -> None:
    pulse = beating(1.0)
    assert look(pulse, 60.0) is Verdict.ALIVE
    pulse.sent(21, 60.0)
    assert look(pulse, 60.0 + 0.9 * POLICY.timeout) is Verdict.ALIVE


def test_what_hung_must_answer_for_a_while_before_it_is_trusted() -> None:
    pulse = beating(1.0)
    pulse.sent(21, 1.05)
    assert look(pulse, 2.0) is Verdict.HUNG
    echo(pulse, 21, 2.0)
    assert look(pulse, 2.0, trusted=False) is Verdict.UNKNOWN
    for sequence in range(22, 34):
        now = 2.0 + (sequence - 22) * 0.05
        pulse.sent(sequence, now)
        echo(pulse, sequence, now + 0.001)
    assert look(pulse, 2.45, trusted=False) is Verdict.UNKNOWN
    assert look(pulse, 2.56, trusted=False) is Verdict.ALIVE


def test_answering_late_again_begins_the_wait_anew() -> None:
    pulse = Pulse()
    pulse.sent(0, 0.0)
    echo(pulse, 0, 0.1)
    pulse.sent(1, 0.15)
    echo(pulse, 1, 0.5)
    assert pulse.steady_since == 0.5
    assert look(pulse, 0.9, trusted=False) is Verdict.UNKNOWN


@pytest.mark.parametrize("trusted", [True, False])
def test_a_stopped_process_is_no_question_of_heartbeats(trusted: bool) -> None:
    assert look(beating(1.0), 1.0, stopped=True, trusted=trusted) is Verdict.STOPPED
    assert look(Pulse(), 1.0, stopped=True, trusted=trusted) is Verdict.STOPPED


def test_old_and_repeated_heartbeats_count_for_nothing() -> None:
    pulse = beating(1.0)
    pulse.sent(21, 1.05)
    echo(pulse, 3, 1.1)
    assert pulse.answered == 20
    assert pulse.silence(1.2) == pytest.approx(0.15)


def test_what_is_remembered_is_bounded() -> None:
    pulse = Pulse()
    for sequence in range(10 * REMEMBERED):
        pulse.sent(sequence, float(sequence))
    assert len(pulse.unanswered) == REMEMBERED


def test_the_first_beat_is_repeated_soon() -> None:
    pulse = Pulse()
    policy = HeartPolicy(interval=0.05, eager=0.005)
    assert policy.pause_after(pulse, used=False) == 0.005
    pulse.sent(0, 0.0)
    pulse.heard(0, 0.001, policy, inward=True)
    assert policy.pause_after(pulse, used=True) == 0.005, "it has come out at one side only"
    pulse.heard(0, 0.001, policy, inward=False)
    assert policy.pause_after(pulse, used=True) == 0.05
    assert policy.pause_after(pulse, used=False) == 1.0, "it is in front of nothing, and may sleep"
