"""The JSON Schema of fabric files: what can be read fits it, and what an editor can find wrong does not."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.unit.fabric_files import World
from tests.unit.json_schemas import fits
from tests.unit.test_fabric_file_check import GOOD
from tests.unit.test_fabric_file_write import FILES

from weft.model.fabric_file import FabricFile
from weft.model.file_schema import dump_file_schema
from weft.plan.fabric_file.check import check_file
from weft.plan.fabric_file.tree import read_tree
from weft.plan.fabric_file.write import dump_file

SCHEMA = dump_file_schema()
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def read(body: str) -> object:
    return read_tree("rooms:\n  acme:\n" + "".join(f"    {line}\n" for line in body.splitlines())).root.plain()


def test_short_and_long_forms_fit() -> None:
    assert fits(SCHEMA, read(GOOD))
    assert fits(SCHEMA, read("networks: { lan: { dns: 10.0.0.1 } }\nmachines:\nvolumes: { data: 1G, more: }"))
    machine = "{ image: base, networks: none, health: none, restart: on-failure:3, publish: 80, env: [A=1], after: b }"
    assert fits(SCHEMA, read(f"machines: {{ a: {machine}, b: base }}"))
    assert fits(SCHEMA, read("machines: { a: { image: base, networks: { lan: { mac: '02:00:00:00:00:01' }, dmz: } } }"))
    for growth in ("true", "false", "manual", "auto", "{ mode: auto }"):
        assert fits(SCHEMA, read(f"machines: {{ a: {{ image: base, cpus: 1..4, memory: ..1G, elastic: {growth} }} }}"))
    assert fits(SCHEMA, {"x-mine": [1], "rooms": {"a": None}})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_fit(path: Path) -> None:
    assert fits(SCHEMA, read_tree(path.read_text()).root.plain())


@given(FILES)
@settings(max_examples=25)
def test_what_is_written_fits(file: FabricFile) -> None:
    assert fits(SCHEMA, dump_file(file, defaults=False))


@pytest.mark.parametrize(
    "body",
    [
        "network: {}",
        "networks: { lan: { subnt: 10.0.0.0/24 } }",
        "networks: { Lan: }",
        "networks: { lan: { mtu: 100 } }",
        "machines: { a: { image: base, profile: vax } }",
        "machines: { a: { image: base, networks: lan } }",
        "machines: { a: { image: base, cpus: [1] } }",
        "machines: { a: { image: base, elastic: often } }",
        "machines: { a: { image: base, elastic: { mod: auto } } }",
        "machines: { a: { image: base, restart: sometimes } }",
        "inserts: { tap: { appliance: sniffer } }",
        "inserts: { tap: { appliance: sniffer, before: web, mode: outline } }",
        "volumes: { data: { size: [1] } }",
    ],
)
def test_what_an_editor_can_tell(body: str) -> None:
    assert not fits(SCHEMA, read(body))
    assert check_file("rooms:\n  acme:\n    " + body, "/", World()).problems


def test_every_key_has_a_meaning() -> None:
    for name, part in SCHEMA["$defs"].items():
        for key, field in part.get("anyOf", [{}])[0].get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"
