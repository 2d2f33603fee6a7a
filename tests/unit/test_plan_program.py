"""What a machine runs: entry points, commands and policies combined as container engines do."""

import pytest

from weft.model.errors import Invalid
from weft.model.image import Entry, Health, RestartPolicy
from weft.model.machine import HealthSpec, MachineSpec
from weft.model.signals import parse_signal, signal_name, signal_number
from weft.plan.entry import Program, plan_program

ENTRY = Entry(
    entrypoint=("/entry",), argv=("serve",), env={"A": "1", "B": "1"}, cwd="/srv", user="www", stop_signal="SIGQUIT",
    restart=RestartPolicy.ALWAYS,
)  # fmt: skip


def plan(**spec: object) -> Program:
    return plan_program(MachineSpec.model_validate({"name": "m", "image": "i", **spec}), ENTRY)


@pytest.mark.parametrize(
    ("spec", "argv"),
    [
        ({}, ("/entry", "serve")),
        ({"command": ["x"]}, ("/entry", "x")),
        ({"entrypoint": ["/other"]}, ("/other",)),
        ({"entrypoint": ["/other"], "command": ["x"]}, ("/other", "x")),
        ({"entrypoint": []}, ()),
        ({"entrypoint": [], "command": ["sh"]}, ("sh",)),
    ],
)
def test_entry_point_and_command(spec: dict[str, object], argv: tuple[str, ...]) -> None:
    assert plan(**spec).argv == argv


def test_what_is_asked_for_goes_over_the_image() -> None:
    program = plan(env={"B": "2"}, cwd="/tmp", user="0", stop_signal="SIGUSR1")
    assert (dict(program.env), program.cwd, program.user, program.stop) == ({"A": "1", "B": "2"}, "/tmp", "0", 10)
    program = plan()
    assert (dict(program.env), program.cwd, program.user, program.stop) == ({"A": "1", "B": "1"}, "/srv", "www", 3)


@pytest.mark.parametrize(
    ("spec", "restart"),
    [
        ({}, "always"),
        ({"command": ["x"]}, "never"),
        ({"entrypoint": ["x"]}, "never"),
        ({"command": ["x"], "restart": "on-failure", "max_restarts": 4}, "on-failure"),
        ({"restart": "unless-stopped"}, "always"),
        ({"restart": "never"}, "never"),
    ],
)
def test_restarts_in_the_guest(spec: dict[str, object], restart: str) -> None:
    program = plan(**spec)
    assert program.restart == restart
    assert program.restarts == spec.get("max_restarts")


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [("SIGTERM", "SIGTERM", 15), ("term", "SIGTERM", 15), ("9", "SIGKILL", 9), ("SIGRTMIN+3", "SIGRTMIN+3", 37),
     ("rtmax-1", "SIGRTMAX-1", 63), ("37", "SIGRTMIN+3", 37)],
)  # fmt: skip
def test_signals(text: str, name: str, number: int) -> None:
    assert parse_signal(text) == name
    assert signal_number(name) == number
    assert signal_number(signal_name(number)) == number


@pytest.mark.parametrize("text", ["", "SIG", "0", "33", "65", "SIGNOPE", "RTMIN+40"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(Invalid, match="is not a signal"):
        parse_signal(text)


def test_a_health_check_over_that_of_the_image() -> None:
    image = Health(argv=("check",), interval=10.0, retries=5)
    assert HealthSpec(interval=2.0).over(image) == Health(argv=("check",), interval=2.0, retries=5)
    assert HealthSpec(argv=("mine",)).over(None) == Health(argv=("mine",))
    assert HealthSpec(interval=2.0).over(None) is None
