"""Policies of growth as people write them."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from weft.model.elastic import MANUAL, ElasticPolicy
from weft.model.errors import Invalid
from weft.model.policy_words import Policy, dump_policy, parse_value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("down_after", "5m", 300.0),
        ("down_after", "7.5", 7.5),
        ("cpu_busy", "85%", 0.85),
        ("cpu_busy", "0.85", 0.85),
        ("memory_headroom", "32M", 32 << 20),
        ("mode", "manual", "manual"),
        ("nothing", "5m", "5m"),
    ],
)
def test_values_are_read_with_their_units(name: str, text: str, value: Any) -> None:
    assert parse_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("down_after", "soon"), ("cpu_busy", "x%"), ("cpu_busy", "5%5"), ("memory_headroom", "5%")]
)
def test_what_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(Invalid, match="is not a"):
        parse_value(name, text)


@pytest.mark.parametrize(
    ("said", "policy", "written"),
    [
        (True, ElasticPolicy(), True),
        ("auto", ElasticPolicy(), True),
        ({}, ElasticPolicy(), True),
        ("manual", MANUAL, "manual"),
        (False, MANUAL, "manual"),
        ({"memory_headroom": "32M", "down_after": "1m"}, ElasticPolicy(memory_headroom=32 << 20, down_after=60.0),
         {"memory_headroom": "32M", "down_after": 60.0}),
        ({"memory_headroom": 0}, ElasticPolicy(memory_headroom=0), {"memory_headroom": 0}),
        (MANUAL, MANUAL, "manual"),
    ],
)  # fmt: skip
def test_a_policy_is_a_word_or_what_is_special_about_it(said: Any, policy: ElasticPolicy, written: Any) -> None:
    adapter: TypeAdapter[ElasticPolicy] = TypeAdapter(Policy)
    assert adapter.validate_python(said) == policy
    assert dump_policy(policy) == written
    assert adapter.validate_python(written) == policy
