"""Kernels that are given by their files."""

from pathlib import Path

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Request

from weft.cli.kernel_files import name_for
from weft.model.names import parse_name

KERNEL = {"name": "x", "release": "Plan 9 amd64", "format": "multiboot", "size": 1, "digest": "sha256:" + "0" * 64}


@pytest.mark.parametrize("file", ["9pc64", "9PC_64.gz", "-", "k" * 200, "мой"])
def test_a_name_is_made_of_the_files_own_and_of_what_is_in_it(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_bytes(b"one")
    name = name_for(path)
    assert parse_name(name) == name
    path.write_bytes(b"another")
    assert name_for(path) != name


def test_a_kernel_with_a_slash_is_taken_once(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    file = tmp_path / "9pc"
    file.write_bytes(b"kernel")
    taken: list[str] = []
    fake.on("GET", "/v1/kernels", lambda _: [KERNEL | {"name": name} for name in taken])

    def take(request: Request) -> dict[str, object]:
        taken.append(request.body["name"])
        return KERNEL

    fake.on("POST", "/v1/kernels/import", take)
    fake.on("POST", "/v1/machines", MACHINE)
    for _ in range(2):
        assert weft("run", "-d", "--kernel", str(file), "plan9").status == 0
    assert taken == [name_for(file)]
    asked = [request.body["spec"]["kernel"] for request in fake.requests if request.path == "/v1/machines"]
    assert asked == [name_for(file)] * 2


def test_a_file_that_is_not_there_is_told(fake: FakeDaemon, weft: Weft) -> None:
    ran = weft("run", "-d", "--kernel", "./9pc", "plan9")
    assert (ran.status, ran.err) == (1, "weft: not-found: cannot read 9pc: No such file or directory\n")
