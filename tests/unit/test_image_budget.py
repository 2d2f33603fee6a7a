"""What is said of an image that is too big: one line, and a table of what is big."""

import pytest

from weft.fabric.trials import find_available, parse_processes
from weft.image.budget import check_size, dump_table
from weft.image.tree import File, Symlink, Tree
from weft.model.errors import NoRoom


def make_tree() -> Tree:
    tree = Tree()
    tree.add("/usr/bin/large", File(bytes(3 << 20)))
    tree.add("/usr/lib/small.so", File(bytes(2000)))
    tree.add("/etc/own", File(bytes(5000)))
    tree.add("/usr/bin/link", Symlink("large"))
    return tree


def test_an_image_within_its_budget_is_fine() -> None:
    check_size(100, None, Tree(), {})
    check_size(100, 100, Tree(), {})


def test_what_is_big_comes_first() -> None:
    origins = {"usr/bin/large": "tools", "usr/lib/small.so": "tools"}
    with pytest.raises(NoRoom) as caught:
        check_size(5 << 20, 4 << 20, make_tree(), origins)
    assert "5.00M, more than 4M" in caught.value.message
    assert "\n" not in str(caught.value)
    assert [line.split() for line in (caught.value.detail or "").splitlines()] == [
        ["SIZE", "PACKAGE"],
        ["3.00M", "tools"],
        ["4.9K", "(the", "recipe's", "own", "files)"],
        ["SIZE", "FILE"],
        ["3.00M", "/usr/bin/large"],
        ["4.9K", "/etc/own"],
        ["2.0K", "/usr/lib/small.so"],
    ]


def test_a_long_table_ends_with_what_is_left() -> None:
    lines = dump_table("FILE", [(f"/{number}", 1024) for number in range(15)]).splitlines()
    assert lines[-1].split() == ["3.0K", "3", "more"]


async def test_memory_is_looked_at_until_it_stands_still() -> None:
    readings = iter([40 << 20, 30 << 20, 20 << 20, (20 << 20) + 4096, 1])

    async def look() -> int:
        return next(readings)

    assert await find_available(look, pause=0) == 20 << 20


def test_processes_by_name_and_size() -> None:
    text = "Name:\tkthreadd\nPid:\t2\nName:\ttcp dump\nUmask:\t0022\nVmRSS:\t    2048 kB\nName:\tsh\nVmRSS:\t4 kB\n"
    assert parse_processes(text) == [("tcp dump", 2 << 20), ("sh", 4096)]
