"""Layers laid over each other: cases that must not change, beside those that chance makes (tests/host)."""

import pytest

from weft.image.flatten.limits import Budget, Limits
from weft.image.flatten.members import Kind, Member
from weft.image.flatten.merge import Inode, Merger, keep_xattrs, split_path
from weft.model.errors import Invalid, NoRoom

FILE, FOLDER, SYMLINK, LINK = Kind.FILE, Kind.FOLDER, Kind.SYMLINK, Kind.HARD_LINK


def merge(*layers: list[Member]) -> dict[bytes, Inode]:
    merger = Merger()
    for layer in layers:
        merger.add_layer(layer)
    return dict(merger)


def file(name: bytes, size: int = 0) -> Member:
    return Member(name, FILE, size=size)


def folder(name: bytes, mode: int = 0o750) -> Member:
    return Member(name, FOLDER, mode)


def symlink(name: bytes, target: bytes) -> Member:
    return Member(name, SYMLINK, target=target)


def link(name: bytes, target: bytes) -> Member:
    return Member(name, LINK, target=target)


def paths(tree: dict[bytes, Inode]) -> list[bytes]:
    return [path for path in tree if path]


def test_folders_that_nobody_describes_are_roots() -> None:
    tree = merge([file(b"a/b/c")])
    assert paths(tree) == [b"a", b"a/b", b"a/b/c"]
    assert all((tree[path].mode, tree[path].uid, tree[path].mtime) == (0o755, 0, 0) for path in (b"", b"a", b"a/b"))


def test_a_folder_described_after_its_files_keeps_them() -> None:
    tree = merge([file(b"a/b"), folder(b"./a/", 0o700), folder(b"./", 0o711)])
    assert (paths(tree), tree[b"a"].mode, tree[b""].mode) == ([b"a", b"a/b"], 0o700, 0o711)


def test_a_whiteout_hides_lower_layers_only_wherever_it_stands() -> None:
    below = [file(b"d/old"), file(b"e")]
    for order in (1, -1):
        above = [file(b"d/new"), file(b"d/.wh.old"), file(b".wh.e"), file(b"e", 7)][::order]
        tree = merge(below, above)
        assert (paths(tree), tree[b"e"].size) == ([b"d", b"d/new", b"e"], 7)


def test_an_opaque_folder_keeps_what_its_own_layer_has_wherever_the_marker_stands() -> None:
    below = [file(b"d/old"), file(b"d/sub/old"), folder(b"d", 0o700)]
    for order in (1, -1):
        tree = merge(below, [file(b"d/new"), file(b"d/sub/new"), file(b"d/.wh..wh..opq")][::order])
        assert (paths(tree), tree[b"d"].mode) == ([b"d", b"d/new", b"d/sub", b"d/sub/new"], 0o700)


def test_a_whiteout_of_a_folder_leaves_what_its_own_layer_put_into_it() -> None:
    tree = merge([file(b"d/old"), file(b"d/sub/old")], [file(b"d/sub/new"), file(b".wh.d")])
    assert paths(tree) == [b"d", b"d/sub", b"d/sub/new"]


def test_only_files_are_markers() -> None:
    tree = merge([file(b"a"), file(b"b")], [folder(b".wh.a"), symlink(b".wh.b", b"b")])
    assert paths(tree) == [b".wh.a", b".wh.b", b"a", b"b"]


def test_a_marker_in_no_folder_hides_nothing() -> None:
    assert paths(merge([file(b"a")], [file(b"x/.wh.a"), file(b"a/.wh.b"), file(b"a/.wh..wh..opq")])) == [b"a"]


def test_what_aufs_left_in_old_layers_is_left_out() -> None:
    assert paths(merge([folder(b".wh..wh.plnk"), file(b".wh..wh.plnk/12.3"), file(b".wh..wh.aufs"), file(b"a")])) == [
        b"a"
    ]


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"d/.wh..."])
def test_a_marker_that_would_hide_its_folder_or_the_one_above_is_refused(name: bytes) -> None:
    with pytest.raises(Invalid, match="hides nothing"):
        merge([file(b"d/a")], [file(name)])


def test_a_folder_takes_the_place_of_a_link_and_a_link_that_of_a_tree() -> None:
    tree = merge([file(b"real/a"), symlink(b"l", b"real"), file(b"t/x/y")], [folder(b"l"), symlink(b"t", b"real")])
    assert paths(tree) == [b"l", b"real", b"real/a", b"t"]
    assert (tree[b"l"].kind, tree[b"t"].kind) == (FOLDER, SYMLINK)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/etc", b"etc/f"),
        (b"../../../../etc", b"etc/f"),
        (b"..", b"f"),
        (b"not/there", b"d/not/there/f"),
        (b"../m", b"etc/f"),
    ],
)
def test_a_path_through_a_link_stays_in_the_image(target: bytes, expected: bytes) -> None:
    tree = merge([symlink(b"d/l", target), symlink(b"m", b"/etc/.")], [file(b"d/l/f", 3)])
    assert tree[expected].size == 3


def test_links_that_lead_in_a_circle_are_refused() -> None:
    with pytest.raises(Invalid, match="too many symbolic links"):
        merge([symlink(b"a", b"b"), symlink(b"b", b"a"), file(b"a/f")])


def test_a_file_in_a_file_is_refused() -> None:
    with pytest.raises(Invalid, match="a/b lies in a, which is not a folder"):
        merge([file(b"a")], [file(b"a/b")])


def test_a_hard_link_stays_what_it_was_when_its_target_is_replaced() -> None:
    tree = merge([file(b"a", 1), link(b"b", b"a")], [link(b"c", b"./a"), file(b"a", 2)], [file(b".wh.a")])
    assert (paths(tree), tree[b"b"].size) == ([b"b", b"c"], 1)
    assert tree[b"b"] is tree[b"c"]


def test_a_hard_link_to_a_link_is_the_link() -> None:
    tree = merge([file(b"d/a", 1), symlink(b"s", b"d/a"), symlink(b"e", b"d"), link(b"h", b"s"), link(b"i", b"e/a")])
    assert tree[b"h"] is tree[b"s"]
    assert tree[b"i"] is tree[b"d/a"]


@pytest.mark.parametrize("target", [b"missing", b"d", b"", b"..", b"self"])
def test_hard_links_to_what_cannot_be_are_refused(target: bytes) -> None:
    with pytest.raises(Invalid, match="is a hard link to"):
        merge([folder(b"d"), file(b"self"), link(b"self", target)])


def test_of_two_members_of_one_name_the_later_counts() -> None:
    tree = merge([file(b"a", 1), file(b"./a", 2), folder(b"d"), file(b"d/x"), file(b"d")])
    assert (paths(tree), tree[b"a"].size) == ([b"a", b"d"], 2)


@pytest.mark.parametrize("member", [file(b"/"), file(b""), symlink(b".", b"/etc"), file(b"a/..")])
def test_the_root_stays_a_folder(member: Member) -> None:
    with pytest.raises(Invalid, match="root"):
        merge([member])


@pytest.mark.parametrize(
    "member",
    [
        symlink(b"a", b""),
        symlink(b"a", b"x" * 4096),
        file(b"x" * 256),
        file(b"x/" * 2100),
        Member(b"a", Kind.BLOCK, major=4096),
        Member(b"a", Kind.CHARACTER, minor=-1),
        Member(b"a", FILE, uid=1 << 32),
        Member(b"a", FILE, gid=-1),
    ],
)
def test_what_linux_does_not_have_is_refused(member: Member) -> None:
    with pytest.raises(Invalid):
        merge([member])


def test_links_do_not_lead_to_endless_paths() -> None:
    deep = b"/".join([b"x" * 200] * 15)
    with pytest.raises(Invalid, match="too long"):
        merge([symlink(b"l", deep), file(b"l/" + deep + b"/f")])


def test_times_are_what_squashfs_has_room_for() -> None:
    tree = merge([Member(b"a", FILE, mtime=-5), Member(b"b", FILE, mtime=1 << 40)])
    assert (tree[b"a"].mtime, tree[b"b"].mtime) == (0, (1 << 32) - 1)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"./a//b/", (b"a", b"b")),
        (b"/a/../../b", (b"b",)),
        (b"../..", ()),
        (b"a/./\xff", (b"a", b"\xff")),
    ],
)
def test_split_path(name: bytes, path: tuple[bytes, ...]) -> None:
    assert split_path(name) == path


def test_attributes_that_squashfs_lacks_or_overlay_would_take_for_its_own_are_dropped() -> None:
    capability = {b"security.capability": b"\1"}
    others = {b"system.posix_acl_access": b"x", b"trusted.overlay.opaque": b"y", b"user.": b""}
    assert keep_xattrs(capability | others) == capability
    assert keep_xattrs(others) is None


def test_a_thousand_folders_in_each_other_are_walked_and_pruned() -> None:
    deep = b"d/" * 2000
    assert len(merge([file(deep + b"f")])) == 2002
    assert paths(merge([file(deep + b"f")], [file(b".wh..wh..opq")])) == []


def test_bombs_are_refused() -> None:
    budget = Budget(Limits(unpacked=10, content=10, headers=10, members=2))
    budget.take_unpacked(10)
    budget.take_content(10)
    budget.take_member(Member(b"12345", FILE))
    for take in (
        lambda: budget.take_unpacked(1),
        lambda: budget.take_content(1),
        lambda: budget.take_member(Member(b"1234", FILE, xattrs={b"5": b"6"})),
        lambda: budget.take_member(Member(b"", FILE)),
    ):
        with pytest.raises(NoRoom, match="the image has more than"):
            take()
