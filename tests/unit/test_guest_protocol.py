"""Payloads: what is written can be read, what is wrong is refused, and the guest's decoders agree."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.guest_library import accepts_committed, accepts_exec, accepts_hello, dump_event

from weft.guest import protocol as p
from weft.guest.facts import Pressure, parse_facts
from weft.guest.frames import Kind
from weft.model.errors import Invalid

u16, u32, u64 = st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_characters="\0=", exclude_categories=["Cs"]), min_size=1, max_size=10)
statuses = st.builds(p.ExitStatus, code=st.integers(0, 255)) | st.builds(p.ExitStatus, signal=st.integers(1, 64))
entries = st.builds(
    p.EntryStatus,
    state=st.sampled_from(["none", "running", "exited", "waiting"]),
    last=st.none() | statuses,
    pid=st.none() | st.integers(1, 2**32 - 1),
    restarts=u32,
)
requests = st.builds(
    p.ExecRequest,
    argv=st.lists(texts, min_size=1, max_size=5).filter(lambda argv: bool(argv[0])),
    env=st.dictionaries(names, texts, max_size=4),
    cwd=st.none() | names,
    user=st.none() | names,
    tty=st.just(None),
    stdin=st.booleans(),
    builtin=st.booleans(),
)


@given(
    st.builds(
        p.Hello, nonce=st.binary(min_size=16, max_size=16), major=u16, minor=u16, wall_ns=u64, becomes=st.booleans()
    ),
    st.binary(),
)
def test_hello(hello: p.Hello, later: bytes) -> None:
    assert p.parse_hello(p.dump_hello(hello) + later) == hello
    assert accepts_hello(p.dump_hello(hello) + later)


@given(st.binary(min_size=16, max_size=16), u64, entries, texts, texts, st.booleans(), st.binary())
def test_ready(
    nonce: bytes, time: int, entry: p.EntryStatus, release: str, hostname: str, held: bool, later: bytes
) -> None:
    ready = p.Ready(nonce, p.MAJOR, 7, time, time, time, 128, p.WINDOW, entry, "id", release, hostname, held)
    assert p.parse_ready(p.dump_ready(ready) + later) == ready


def test_an_earlier_version_says_nothing_of_copies() -> None:
    hello, ready = p.Hello(b"n" * 16, 1, 2, 5, becomes=True), p.Ready(b"n" * 16, 1, 2, held=True)
    assert p.parse_hello(p.dump_hello(hello)[:-1]) == p.Hello(b"n" * 16, 1, 2, 5)
    assert p.parse_ready(p.dump_ready(ready)[:-1]) == p.Ready(b"n" * 16, 1, 2)


def test_ready_of_a_stranger_is_only_its_version() -> None:
    assert p.parse_ready(b"n" * 16 + b"\x09\0\x01\0anything") == p.Ready(b"n" * 16, 9, 1)


@given(requests)
def test_exec(request: p.ExecRequest) -> None:
    payload = p.dump_exec(request)
    assert p.parse_exec(payload) == request
    assert accepts_exec(payload)


def test_exec_on_a_terminal_has_input() -> None:
    parsed = p.parse_exec(p.dump_exec(p.ExecRequest(["sh"], {}, tty=(24, 80))))
    assert (parsed.tty, parsed.stdin) == ((24, 80), True)


@given(requests, st.data())
def test_exec_that_lost_its_end_to_padding_is_refused_or_whole(request: p.ExecRequest, data: st.DataObject) -> None:
    """What a broken connection cut off and padding completed must never run as something else."""
    payload = p.dump_exec(request)
    end = data.draw(st.integers(0, len(payload)))
    padded = payload[:end].ljust(len(payload), b"\0")
    assert accepts_exec(padded) == (padded == payload)


@given(st.binary(max_size=80))
def test_both_ends_agree_on_any_exec(payload: bytes) -> None:
    try:
        p.parse_exec(payload)
        mine = True
    except Invalid:
        mine = False
    assert accepts_exec(payload) == mine


@given(st.binary(max_size=10) | st.binary(max_size=8).map(lambda text: b"\x02" + text + b"\0"))
def test_both_ends_agree_on_any_answer_to_a_commit(payload: bytes) -> None:
    try:
        p.parse_committed(payload)
        mine = True
    except Invalid:
        mine = False
    assert accepts_committed(payload) == mine


@given(st.sampled_from(["alert", "a", "ids-2"]), texts)
def test_events(kind: str, text: str) -> None:
    event = p.MachineEvent(kind, text)
    assert p.parse_event(p.dump_event(event)) == event
    if "\n" not in text:
        assert dump_event(f"{kind} {text}".encode()) == p.dump_event(event)


@pytest.mark.parametrize("text", [b"", b"alert", b" x", b"Alert x", b"9 x", b"-a x"])
def test_what_is_no_event_is_not_sent(text: bytes) -> None:
    assert dump_event(text) == b""


@pytest.mark.parametrize("payload", [b"", b"alert\0", b"alert\0x", b"alert\0x\0y\0", b"A\0x\0", b"a" * 32 + b"\0x\0"])
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(Invalid):
        p.parse_event(payload)


@pytest.mark.parametrize(
    "request_",
    [
        p.ExecRequest([], {}),
        p.ExecRequest([""], {}),
        p.ExecRequest(["a\0b"], {}),
        p.ExecRequest(["a"], {"": "x"}),
        p.ExecRequest(["a"], {"x=y": "z"}),
        p.ExecRequest(["a" * 9000], {}),
        p.ExecRequest(["a"] * 1025, {}),
    ],
)
def test_exec_that_cannot_be_sent(request_: p.ExecRequest) -> None:
    with pytest.raises(Invalid):
        p.dump_exec(request_)


@given(entries, statuses, u32, texts)
def test_small_ones(entry: p.EntryStatus, status: p.ExitStatus, number: int, text: str) -> None:
    assert p.parse_entry(p.dump_entry(entry)) == entry
    assert p.parse_exit(p.dump_exit(status)) == status
    assert p.parse_u32(Kind.WINDOW, p.dump_u32(number)) == number
    assert p.parse_error(p.dump_error(p.AgentError(number, text))) == p.AgentError(number, text)
    assert p.parse_committed(p.dump_committed(text)) == text
    assert p.parse_committed(p.dump_committed(None)) is None
    assert p.parse_reason(p.dump_reason(text)) == text


PARSERS: list[Callable[[bytes], object]] = [
    p.parse_hello,
    p.parse_ready,
    p.parse_exec,
    p.parse_entry,
    p.parse_exit,
    p.parse_error,
    p.parse_committed,
    p.parse_reason,
    parse_facts,
    lambda payload: p.parse_u32(Kind.STARTED, payload),
]


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(payload: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(Invalid):
            parse(payload)


def test_a_shell_s_number() -> None:
    assert p.ExitStatus(code=3).shell_code == 3
    assert p.ExitStatus(signal=9).shell_code == 137


def test_facts() -> None:
    facts = parse_facts(
        b"uptime_ns 5\nload 0.10 0.20 0.30\nprocesses 1 29\nmemory_total 1024\noom_kills 2\nnew_fact 1 2 3\n"
        b"pressure cpu some 1.50 0.00 0.00 77\nnic eth0 52:54:00:00:00:01 up 1500\naddress eth0 10.0.0.2/24\n"
    )
    assert (facts.uptime_ns, facts.load, facts.processes, facts.memory_total) == (5, (0.1, 0.2, 0.3), 29, 1024)
    assert facts.oom_kills == 2
    assert facts.pressure["cpu", "some"] == Pressure(1.5, 0.0, 0.0, 77)
    assert facts.nics["eth0"].up and facts.nics["eth0"].addresses == ["10.0.0.2/24"]
    for wrong in (b"memory_total x", b"load 1 2", b"address eth9 10.0.0.1/8", b"pressure cpu some"):
        with pytest.raises(Invalid):
            parse_facts(wrong)
