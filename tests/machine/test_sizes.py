"""Sizes of machines, as people say them and see them: ranges, changes of sizes, policies, and all that is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric

from weft.client import Client

EXAMPLES = Path(__file__).parents[2] / "examples"
MIB = 1 << 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """The example, with a policy that leaves sizes to the tests."""
    folder = tmp_path_factory.mktemp("shop")
    text = (EXAMPLES / "elastic.yaml").read_text().replace("../appliances", str(EXAMPLES.parent / "appliances"))
    (folder / "weft.yaml").write_text(text.replace("elastic: true", "elastic: manual"))
    with open_fabric(folder / "home") as fabric:
        fabric.run("up", str(folder / "weft.yaml"))
        yield fabric


def file_of(shop: TestFabric) -> Path:
    return shop.home.parent / "weft.yaml"


def view_of(shop: TestFabric, *, room: str = "shop", name: str = "db") -> dict[str, Any]:
    view: dict[str, Any] = json.loads(shop.run("--room", room, "inspect", name, "--format", "json").stdout)
    return view


def guest_memory(shop: TestFabric) -> int:
    """What its kernel counts, in MiB."""
    text = shop.text("--room", "shop", "exec", "db", "--", "cat", "/proc/meminfo")
    return int(text.split("MemTotal:")[1].split()[0]) >> 10


def test_the_example_grows_and_shrinks(shop: TestFabric) -> None:
    done = shop.run("--room", "shop", "scale", "db", "--memory", "512M", "--cpus", "2", check=False)
    assert done.stdout.decode() == "db: cpus 2 applied\ndb: memory 512M applied\n", done
    assert guest_memory(shop) > 400
    assert shop.text("--room", "shop", "exec", "db", "--", "nproc") == "2\n"
    assert shop.text("--room", "shop", "scale", "db", "--memory", "-256M", "--cpus", "-1") == (
        "db: cpus 1 applied\ndb: memory 256M applied\n"
    )
    assert "256M/1G  1/2" in shop.text("--room", "shop", "ps")
    assert (view_of(shop)["memory"], view_of(shop)["elastic"]["memory"]["maximum"]) == (256 * MIB, 1024 * MIB)
    view = Client(shop.home, room="shop").elastic("db")
    assert (view["memory"]["granted"], view["memory"]["qemu"], view["cpus"]["granted"]) == (256 * MIB, 256 * MIB, 1)


def test_a_size_is_no_difference_from_the_file_and_a_policy_changes_while_it_runs(shop: TestFabric) -> None:
    shop.run("--room", "shop", "scale", "db", "--memory", "128M")
    before = view_of(shop)["pid"]
    assert shop.text("up", str(file_of(shop))) == "nothing to do\n"
    text = file_of(shop).read_text()
    file_of(shop).write_text(text.replace("elastic: manual", "elastic: {mode: auto}"))
    plan = shop.text("plan", str(file_of(shop)))
    assert "elastic manual → true\n" in plan and "needs a start" not in plan
    shop.run("up", str(file_of(shop)))
    shop.run("--room", "shop", "update", "--no-elastic", "db")
    assert view_of(shop)["pid"] == before
    file_of(shop).write_text(text)
    assert shop.text("up", str(file_of(shop))) == "nothing to do\n"
    file_of(shop).write_text(text.replace("64M..1G", "64M..768M"))
    assert "memory 64M..1G → 64M..768M needs a start" in shop.text("plan", str(file_of(shop)))
    assert b"this would restart db" in shop.run("up", str(file_of(shop)), check=False).stderr
    file_of(shop).write_text(text)


def test_what_is_exported_is_there_already(shop: TestFabric, tmp_path: Path) -> None:
    text = shop.text("export", "shop")
    assert "memory: 64M..1G\n" in text and "cpus: 1..2\n" in text and "elastic" not in text
    (tmp_path / "weft.yaml").write_text(text)
    assert shop.text("up", str(tmp_path / "weft.yaml")) == "nothing to do\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("scale", "--memory", "2G", "db"), "invalid"),
        (("scale", "--cpus", "+2", "db"), "invalid"),
        (("scale", "--memory", "-1G", "db"), "invalid"),
        (("scale", "--memory", "128M", "shop"), "wrong-state"),
        (("scale", "--cpus", "2", "nobody"), "not-found"),
        (("update", "--memory", "64M..2G", "db"), "wrong-state"),
        (("update", "--elastic", "shop"), "invalid"),
        (("fork", "db"), "wrong-state"),
        (("run", "-d", "--name", "more", "--memory", "..48M", "base"), "invalid"),
        (("run", "-d", "--name", "more", "--memory", "16M..1G", "base"), "invalid"),
        (("run", "-d", "--name", "more", "--cpus", "1..65", "base"), "invalid"),
        (("run", "-d", "--name", "more", "--elastic", "base"), "invalid"),
    ],
)
def test_what_cannot_be_is_told_in_a_line_and_leaves_nothing(
    shop: TestFabric, words: tuple[str, ...], code: str
) -> None:
    before = [(view["name"], view["pid"]) for view in shop.client.machines(all=True, all_rooms=True)]
    assert shop.refusal("--room", "shop", *words) == code
    assert [(view["name"], view["pid"]) for view in shop.client.machines(all=True, all_rooms=True)] == before


def test_a_machine_becomes_elastic_and_fixed_again(shop: TestFabric) -> None:
    shop.run("run", "-d", "--name", "late", "--memory", "64M", "base")
    assert view_of(shop, room="default", name="late")["profile"] == "microvm"
    shop.run("update", "--memory", "64M..256M", "--restart-now", "late")
    assert view_of(shop, room="default", name="late")["profile"] == "q35"
    assert shop.text("scale", "--memory", "192M", "late") == "late: memory 192M applied\n"
    shop.run("update", "--memory", "96M", "--restart-now", "late")
    assert shop.refusal("scale", "--memory", "128M", "late") == "wrong-state"
    shop.run("rm", "-f", "late")


def test_what_needs_more_than_its_minimum_keeps_that_and_stays_elastic(shop: TestFabric) -> None:
    shop.run("run", "-d", "--name", "tiny", "--memory", "33M..96M", "base")
    view = view_of(shop, room="default", name="tiny")
    assert view["elastic"]["lost"] == "" and 33 * MIB < view["memory"] < 96 * MIB
    assert shop.text("scale", "--memory", "96M", "tiny") == "tiny: memory 96M applied\n"
    done = shop.run("scale", "--memory", "33M", "tiny", check=False)
    assert done.returncode == 1 and b"memory 33M refused: the guest uses" in done.stdout, done
    shop.run("rm", "-f", "tiny")
