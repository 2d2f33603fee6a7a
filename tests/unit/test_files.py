"""Paths of machines, and what an agent may say of a file."""

import pytest

from weft.fabric.files import split_path
from weft.guest.files import parse_stat
from weft.model.errors import Invalid, Unavailable
from weft.model.files import FileKind


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/srv/site", ("/srv", "site")),
        ("/srv/site/", ("/srv", "site")),
        ("/srv/site/.", ("/srv/site", ".")),
        ("srv", ("/", "srv")),
        ("/", ("/", ".")),
        (".", ("/", ".")),
        ("//a//./b", ("/a", "b")),
        ("/a/../b", ("/a/..", "b")),
    ],
)
def test_a_path_is_a_folder_and_a_name(path: str, parts: tuple[str, str]) -> None:
    assert split_path(path) == parts


def test_a_path_has_no_nul() -> None:
    with pytest.raises(Invalid):
        split_path("/a\0b")


STAT = b"type link\nmode 0777\nuid 1\ngid 2\nsize 3\nmtime_ns 1500000000\ntarget a%20b%FF\nlater key\n"


def test_what_is_said_of_a_file() -> None:
    view = parse_stat("/x", STAT)
    assert (view.kind, view.mode, view.uid, view.gid, view.size, view.mtime) == (FileKind.LINK, 0o777, 1, 2, 3, 1.5)
    assert (view.target, view.real, view.real_kind) == ("a b\ufffd", None, None)
    view = parse_stat("/x", STAT + b"real /y%0A\nreal_type fifo\n")
    assert (view.real, view.real_kind) == ("/y\n", FileKind.OTHER)


@pytest.mark.parametrize("text", [b"", b"type file", STAT.replace(b"0777", b"9"), STAT.replace(b"uid 1", b"uid \xff")])
def test_what_no_agent_says(text: bytes) -> None:
    with pytest.raises(Unavailable, match="makes no sense"):
        parse_stat("/x", text)
