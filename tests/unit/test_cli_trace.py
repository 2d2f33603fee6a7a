"""Traces on the command line: what is asked, what is printed, and the status."""

import json
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon

from weft.model.trace import TraceView

TRACE: dict[str, Any] = {
    "source": "client", "destination": "web:80", "packet": "tcp 10.2.0.2 -> 10.3.0.2:80", "verdict": "stops",
    "why": "machine fw: dropped", "unprobed": "", "disagreements": ["machine fw has not seen the packet"],
    "probe": {"outcome": "silent", "milliseconds": 2000.25, "detail": ""},
    "hops": [
        {"way": "there", "at": "machine client", "verdict": "passes", "why": "by NIC 0", "rule": None, "seen": []},
        {"way": "there", "at": "machine fw", "verdict": "stops", "why": "dropped", "rule": "rules[3]",
         "seen": ["forward: rules[3] drop"]},
    ],
}  # fmt: skip
TEXT = """\
tcp 10.2.0.2 -> 10.3.0.2:80
WAY    AT              VERDICT  RULE      WHY
there  machine client  passes   -         by NIC 0
there  machine fw      stops    rules[3]  dropped
machine fw saw it: forward: rules[3] drop
not as it should be: machine fw has not seen the packet
stops: machine fw: dropped
a packet was sent: silent in 2000.2 ms
"""
ASKED = {"source": "client", "destination": "web:80", "probe": True, "timeout": 2.0, "ipv6": False}


def test_the_view_here_is_that_of_the_model() -> None:
    assert TraceView.model_validate(TRACE).model_dump(mode="json") == TRACE


@pytest.mark.parametrize("args", [("client", "web:80"), ("client", "->", "web:80"), ("client -> web:80",)])
def test_a_trace_as_a_table(fake: FakeDaemon, weft: Weft, args: tuple[str, ...]) -> None:
    fake.on("POST", "/v1/trace", TRACE)
    done = weft("trace", *args)
    assert (done.status, done.out, done.err) == (1, TEXT, "")
    assert fake.last().body == ASKED


def test_options(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/rooms/acme/trace", TRACE)
    assert weft("--room", "acme", "trace", "-6", "--no-probe", "--timeout", "5", "client", "web:80").status == 1
    assert fake.last().body == {**ASKED, "probe": False, "timeout": 5.0, "ipv6": True}


@pytest.mark.parametrize(("verdict", "status"), [("passes", 0), ("stops", 1), ("unknown", 1)])
def test_the_status_says_whether_it_gets_through(fake: FakeDaemon, weft: Weft, verdict: str, status: int) -> None:
    fake.on("POST", "/v1/trace", {**TRACE, "verdict": verdict})
    done = weft("trace", "client", "web:80", "--format", "json")
    assert (done.status, json.loads(done.out)["verdict"]) == (status, verdict)


def test_no_packet(fake: FakeDaemon, weft: Weft) -> None:
    unsent = {**TRACE, "packet": "", "hops": [], "probe": None, "disagreements": []}
    fake.on("POST", "/v1/trace", {**unsent, "unprobed": "none was asked for"})
    assert weft("trace", "a", "b").out.splitlines()[-1] == "no packet was sent: none was asked for"
    fake.on("POST", "/v1/trace", unsent)
    assert weft("trace", "a", "b").out.splitlines()[-1] == "no packet was sent"


@pytest.mark.parametrize("args", [("client",), ("client", "-"), ("a", "b", "c"), ("->", "web")])
def test_what_is_no_trace(fake: FakeDaemon, weft: Weft, args: tuple[str, ...]) -> None:
    done = weft("trace", *args)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("weft: invalid: a trace is from one place to another")
    assert "a shell takes '>'" in done.err
