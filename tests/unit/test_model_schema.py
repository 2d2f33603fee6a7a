"""Settings: what a schema accepts of itself and of values, and the JSON Schema made from it."""

from typing import Any

import pytest
from pydantic import ValidationError

from weft.model.json_schema import dump_json_schema
from weft.model.schema import Setting, SettingsSchema, find_fault


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [
        ({"type": "boolean"}, [True, False], [1, "true", None]),
        ({"type": "integer", "minimum": 1, "maximum": 9}, [1, 9], [0, 10, True, 1.5, "1"]),
        ({"type": "number", "minimum": 0.5}, [0.5, 1], [0.4, "1", False]),
        ({"type": "string", "pattern": "[a-z]+"}, ["abc"], ["", "ab1", 5, "a\n"]),
        ({"type": "string", "choices": ("low", "high")}, ["low"], ["middle"]),
        ({"type": "integer", "choices": ("1", "2")}, [1, 2], [3, "1"]),
        ({"type": "list", "pattern": "[a-z]+"}, [[], ["a", "b"], ("a",)], [["a", "1"], ["a", 1], "a"]),
        ({"type": "list", "choices": ("a", "b")}, [["b", "a"]], [["c"]]),
        ({"type": "address"}, ["10.0.0.1", "fe80::1"], ["10.0.0", "10.0.0.1/24", 5]),
        ({"type": "network"}, ["10.0.0.0/24", "fd00::/8", "10.0.0.1"], ["10.0.0.1/24", "x"]),
        ({"type": "hostname"}, ["web", "Web-1.example"], ["-web", "we_b", "", "a" * 64, "a.b." * 80]),
        ({"type": "secret"}, ["x"], [5]),
    ],
)
def test_values_that_fit_and_values_that_do_not(setting: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    made = Setting(**setting)
    assert [find_fault(made, value) for value in good] == [None] * len(good)
    for value in bad:
        fault = find_fault(made, value)
        assert fault and "\n" not in fault, value


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"type": "integer", "default": "much"}, "default: 'much' is not an integer"),
        ({"type": "string", "choices": ["a"], "default": "b"}, "'b' is none of a"),
        ({"type": "string", "pattern": "("}, "pattern '('"),
        ({"type": "integer", "pattern": "1"}, "pattern is for texts"),
        ({"type": "string", "minimum": 1}, "minimum and maximum are for numbers"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "minimum 2 is above maximum 1"),
        ({"type": "boolean", "choices": ["true"]}, "choices are for"),
        ({"type": "address", "choices": ["here"]}, "choice 'here'"),
        ({"type": "integer", "choices": ["one"]}, "choice 'one'"),
    ],
)
def test_a_schema_that_contradicts_itself(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=r".") as caught:
        Setting(**setting)
    assert complaint in str(caught.value)


def test_names_of_settings_are_plain() -> None:
    with pytest.raises(ValidationError):
        SettingsSchema(settings={"Not A Name": Setting()})


def test_the_json_schema_says_what_the_schema_says() -> None:
    schema = SettingsSchema(
        version=3,
        settings={
            "hostname": Setting(type="hostname", pattern="w.*", required=True),
            "level": Setting(type="integer", minimum=1, maximum=9, default=5, help="How loud."),
            "mode": Setting(choices=("a", "b")),
            "ports": Setting(type="list", pattern="[0-9]+"),
            "key": Setting(type="secret"),
            "count": Setting(type="integer", choices=("1", "2")),
        },
    )
    dumped = dump_json_schema(schema, "web 1")
    found = dumped["properties"]
    assert dumped["$schema"].endswith("2020-12/schema")
    assert dumped["additionalProperties"] is False
    assert dumped["required"] == ["hostname"]
    assert found["level"] == {
        "type": "integer",
        "description": "How loud.",
        "default": 5,
        "minimum": 1.0,
        "maximum": 9.0,
    }
    assert found["mode"] == {"type": "string", "enum": ["a", "b"]}
    assert found["ports"] == {"type": "array", "items": {"type": "string", "pattern": "^(?:[0-9]+)$"}}
    assert found["key"] == {"type": "string", "writeOnly": True}
    assert found["count"]["enum"] == [1, 2]
    assert found["hostname"]["allOf"] == [{"pattern": "^(?:w.*)$"}]
    assert list(found) == list(schema.settings)
