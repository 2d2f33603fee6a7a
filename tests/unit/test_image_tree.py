"""The tree in memory: one spelling per path, and equal trees give equal archives."""

import io
import random
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.tree import Directory, File, Node, Symlink, Tree, normal_path
from weft.model.errors import Invalid


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/bin/sh", "usr/bin/sh"),
        ("./sbin/init", "usr/bin/init"),
        ("usr/sbin/lighttpd", "usr/bin/lighttpd"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("/lib64", "usr/lib64"),
        ("/library/x", "library/x"),
        ("/usr/lib/../share/x", "usr/share/x"),
        ("../../etc/passwd", "etc/passwd"),
        ("/", ""),
    ],
)
def test_normal_path(path: str, clean: str) -> None:
    assert normal_path(path) == clean


@given(st.text(alphabet="abilns/.46usr", max_size=30))
def test_normal_path_is_stable_and_stays_inside(path: str) -> None:
    clean = normal_path(path)
    assert normal_path(clean) == clean
    assert not clean.startswith("/")
    assert ".." not in clean.split("/")


def test_parents_appear() -> None:
    tree = Tree()
    tree.add("/srv/www/a/b", File(b"x"))
    assert isinstance(tree.find("/srv/www/a"), Directory)
    assert "/srv/www" in tree


def test_merged_folders_stay_links() -> None:
    tree = Tree()
    tree.add("./bin/", Directory())
    tree.add("/bin/sh", Symlink("busybox"))
    nodes = dict(tree)
    assert nodes["bin"] == Symlink("usr/bin")
    assert nodes["usr/sbin"] == Symlink("bin")
    assert nodes["usr/bin/sh"] == Symlink("busybox")


def test_nothing_grows_below_a_file() -> None:
    tree = Tree()
    tree.add("/etc/x", File(b""))
    with pytest.raises(Invalid, match="/etc/x is not a directory"):
        tree.add("/etc/x/y", File(b""))


def test_a_full_folder_is_not_replaced() -> None:
    tree = Tree()
    tree.add("/etc/x", File(b""))
    with pytest.raises(Invalid, match="/etc is a directory with something in it"):
        tree.add("/etc", File(b""))


@given(st.randoms(use_true_random=False))
def test_the_archive_does_not_depend_on_the_order(order: random.Random) -> None:
    entries: list[tuple[str, Node]] = [
        ("/etc/a", File(b"1")),
        ("/bin/b", File(b"2", 0o755)),
        ("/tmp", Directory(0o1777)),
        ("/l", Symlink("etc")),
    ]
    straight, shuffled = Tree(), Tree()
    for path, node in entries:
        straight.add(path, node)
    order.shuffle(entries)
    for path, node in entries:
        shuffled.add(path, node)
    assert straight.dump_tar() == shuffled.dump_tar()


def test_the_archive_belongs_to_root_and_has_no_times() -> None:
    tree = Tree()
    tree.add("/tmp", Directory(0o1777))
    tree.add("/bin/x", File(b"abc", 0o755))
    with tarfile.open(fileobj=io.BytesIO(tree.dump_tar())) as archive:
        members = {member.name: member for member in archive}
        assert archive.extractfile("usr/bin/x").read() == b"abc"  # type: ignore[union-attr]
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}
    assert members["tmp"].mode == 0o1777
    assert members["usr/bin/x"].mode == 0o755
