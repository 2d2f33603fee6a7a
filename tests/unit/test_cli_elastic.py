"""`weft elastic`: what it asks for, and what it says of bad values."""

import pytest

from weft.cli.elastic import _list_policy, _parse_value
from weft.model.elastic import ElasticPolicy
from weft.model.errors import Invalid


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("down_after=10m", ("down_after", 600.0)),
        ("memory_headroom=32M", ("memory_headroom", 32 << 20)),
        ("cpu_busy=0.8", ("cpu_busy", 0.8)),
        ("cpu_busy=80%", ("cpu_busy", 0.8)),
        ("cpu_busy=", ("cpu_busy", 0.9)),
        ("remember=", ("remember", 3600.0)),
    ],
)
def test_values_are_written_with_their_units(text: str, value: tuple[str, object]) -> None:
    assert _parse_value(text) == value
    ElasticPolicy.model_validate(dict([value]))


@pytest.mark.parametrize("text", ["cpu_busy", "speed=1", "=1", "down_after=soon", "memory_headroom=much"])
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        _parse_value(text)


def test_a_policy_is_shown_as_it_is_set() -> None:
    shown = dict(_list_policy(ElasticPolicy().model_dump()))
    assert set(shown) == set(ElasticPolicy.model_fields)
    assert (shown["down_after"], shown["memory_headroom"], shown["cpu_busy"]) == ("5m", "16M", "0.9")
    del shown["mode"]
    read = dict(_parse_value(f"{key}={value}") for key, value in shown.items())
    assert ElasticPolicy.model_validate(read) == ElasticPolicy()
