"""What a machine may load from its network, as people write it and as a spec has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.boot_files import BootFile, check_names, find_loader, parse_boot_file, place_boot_file
from weft.model.errors import Invalid


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("/srv/menu.ipxe", BootFile("/srv/menu.ipxe", "menu.ipxe", is_folder=False)),
        ("/srv/a=b/menu.ipxe", BootFile("/srv/a=b/menu.ipxe", "menu.ipxe", is_folder=False)),
        ("amd64/9pc64=/srv/9pc64", BootFile("/srv/9pc64", "amd64/9pc64", is_folder=False)),
        ("a=/srv/b=c", BootFile("/srv/b=c", "a", is_folder=False)),
        ("/srv/tree/", BootFile("/srv/tree/", "", is_folder=True)),
        ("boot/grub=/srv/grub/", BootFile("/srv/grub/", "boot/grub", is_folder=True)),
        ("boot/=/srv/", BootFile("/srv/", "boot", is_folder=True)),
    ],
)
def test_a_file_or_a_folder_by_its_name(text: str, file: BootFile) -> None:
    assert parse_boot_file(text) == file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("menu.ipxe", "absolute path"),
        ("a=menu.ipxe", "absolute path"),
        ("a=", "absolute path"),
        ("/a\0b", "absolute path"),
        ("/srv/a,b", "firmware may not take"),
        ("a b=/srv/x", "firmware may not take"),
        ("../x=/srv/x", "absolute path"),
        ("a/../x=/srv/x", "firmware may not take"),
        ("a//x=/srv/x", "firmware may not take"),
        ("a/=/srv/x", "firmware may not take"),
        ("=/srv/x", "firmware may not take"),
        (".x=/srv/x", "firmware may not take"),
        ("x\n=/srv/x", "firmware may not take"),
        ("=/", None),
        ("/".join(["a" * 60] * 3) + "=/srv/x", "more than 127 characters"),
    ],
)
def test_what_cannot_be_is_said(text: str, why: str | None) -> None:
    if why is None:
        assert parse_boot_file(text).name == ""
        return
    with pytest.raises(Invalid, match=why):
        parse_boot_file(text)


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("a.ipxe", "/srv/a.ipxe"),
        ("./a=b", "/srv/a=b"),
        ("../a/./b", "/a/b"),
        ("x/y=a", "x/y=/srv/a"),
        ("x=/a", "x=/a"),
        ("tree/", "/srv/tree/"),
        ("tree/.", "/srv/tree/"),
        (".", "/srv/"),
        ("..", "/"),
        ("x=..", "x=/"),
        ("x=", "x="),
        ("", ""),
    ],
)
def test_paths_are_of_where_people_are(text: str, placed: str) -> None:
    assert place_boot_file(text, "/srv") == placed
    assert place_boot_file(placed, "/elsewhere") == placed


@given(st.text(alphabet=st.sampled_from([*"a./=-\0 \\"]), max_size=24))
def test_no_name_leads_out(text: str) -> None:
    try:
        file = parse_boot_file(text)
    except Invalid:
        return
    assert not file.name.startswith("/")
    assert not {"..", ".", ""} & set(file.name.split("/")) or (file.is_folder and not file.name)


def test_the_first_file_is_what_boots() -> None:
    assert find_loader(["/tree/", "x/y=/srv/a", "/srv/b"]) == "x/y"
    assert find_loader(["/tree/"]) is None


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["/a/x", "/b/x"], "two boot files are called 'x'"),
        (["/a/x", "x=/b"], "two boot files are called 'x'"),
        (["x=/a", "x/y/z=/b"], "boot file 'x' is no folder that 'x/y/z' could be in"),
    ],
)
def test_names_that_cannot_be_beside_each_other(files: list[str], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        check_names(map(parse_boot_file, files))
    check_names(map(parse_boot_file, ["/a/x", "x/=/b/", "y/x=/c"]))
