"""Root file systems from packages: the closure of what is wanted, and what every machine expects to find."""

import io
import tarfile
from pathlib import Path

import pytest
from tests.unit.image_samples import make_elf, make_tar, tar_member

from weft.image.accounts import Account
from weft.image.elf import read_needs
from weft.image.packages import Package, PackageFiles, parse_package_tar, parse_uris
from weft.image.recipe import Permission, Recipe
from weft.image.rootfs import (
    RootBuilder,
    add_applets,
    add_folder,
    add_skeleton,
    apply_permissions,
    build_root,
    check_programs,
    parse_applets,
)
from weft.image.tree import Directory, File, Node, Symlink, Tree
from weft.model.errors import Invalid, NotFound
from weft.model.image import Entry, Health, Service

BUSYBOX = File(make_elf(tail=b"\0[\0[[\0cat\0ls\0sh\0\0"), 0o755)


def elf(*needed: str, interpreter: str | None = None, runpath: str | None = None) -> File:
    return File(make_elf(needed=needed, interpreter=interpreter, runpath=runpath), 0o755)


def package_files(**packages: dict[str, Node]) -> PackageFiles:
    async def read(package: Package) -> dict[str, Node]:
        return packages[package.name]

    return PackageFiles([Package(name, "1-1", Path(name)) for name in packages], read)


LIBC: dict[str, Node] = {
    "usr/lib64/ld.so": Symlink("/lib/x86_64-linux-gnu/ld.so"),
    "usr/lib/x86_64-linux-gnu/ld.so": elf(),
    "usr/lib/x86_64-linux-gnu/libc.so.6": elf(),
    "usr/share/doc/libc6/copyright": File(b"long"),
}


async def test_a_program_brings_all_it_needs_and_nothing_else() -> None:
    files = package_files(
        libc6=LIBC,
        libdeep1={"usr/lib/x86_64-linux-gnu/libdeep.so.1": elf("libc.so.6")},
        libwide2={
            "usr/lib/x86_64-linux-gnu/libwide.so.2": Symlink("libwide.so.2.7"),
            "usr/lib/x86_64-linux-gnu/libwide.so.2.7": elf("libdeep.so.1"),
        },
        tool={"usr/bin/tool": elf("libwide.so.2", interpreter="/lib64/ld.so"), "usr/share/man/tool": File(b"")},
    )
    builder = RootBuilder(files)
    await builder.add_binary("/usr/bin/tool")
    found = {path for path, node in builder.tree if not isinstance(node, Directory)} - set(dict(Tree()))
    assert found == {
        "usr/bin/tool",
        "usr/lib64/ld.so",
        "usr/lib/x86_64-linux-gnu/ld.so",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib/x86_64-linux-gnu/libdeep.so.1",
        "usr/lib/x86_64-linux-gnu/libwide.so.2",
        "usr/lib/x86_64-linux-gnu/libwide.so.2.7",
    }
    assert builder.used == {"libc6": "1-1", "libdeep1": "1-1", "libwide2": "1-1", "tool": "1-1"}


async def test_runpath_comes_before_the_usual_folders() -> None:
    files = package_files(
        tool={
            "usr/lib/tool/bin/tool": elf("libown.so", runpath="$ORIGIN/../lib"),
            "usr/lib/tool/lib/libown.so": elf(),
            "usr/lib/x86_64-linux-gnu/libown.so": elf(),
        }
    )
    builder = RootBuilder(files)
    await builder.add_binary("/usr/lib/tool/bin/tool")
    assert "/usr/lib/tool/lib/libown.so" in builder.tree
    assert "/usr/lib/x86_64-linux-gnu/libown.so" not in builder.tree


async def test_what_is_missing_is_named_with_who_needs_it() -> None:
    builder = RootBuilder(package_files(tool={"usr/bin/tool": elf("libgone.so.1")}))
    with pytest.raises(NotFound, match=r"libgone\.so\.1, which /usr/bin/tool needs"):
        await builder.add_binary("/bin/tool")
    with pytest.raises(NotFound, match="/usr/bin/other"):
        await builder.add_binary("/usr/bin/other")
    with pytest.raises(NotFound, match="no file of tool matches"):
        await builder.add_glob(("tool",), "/usr/lib/*.so")


async def test_links_in_a_circle_end() -> None:
    builder = RootBuilder(package_files(odd={"usr/bin/a": Symlink("b"), "usr/bin/b": Symlink("a")}))
    await builder.add_binary("/usr/bin/a")
    assert "/usr/bin/b" in builder.tree


async def test_a_package_is_opened_only_when_it_may_help() -> None:
    opened = []

    async def read(package: Package) -> dict[str, Node]:
        opened.append(package.name)
        return {"usr/lib/x86_64-linux-gnu/libpcap.so.0.8": elf()} if package.name == "libpcap0.8" else {}

    files = PackageFiles([Package(name, "1", Path(name)) for name in ("adduser", "libpcap0.8", "perl")], read)
    assert await files.find("/usr/lib/x86_64-linux-gnu/libpcap.so.0.8", likely="libpcap.so.0.8")
    assert opened == ["libpcap0.8"]


async def test_a_whole_root(tmp_path: Path) -> None:
    (tmp_path / "files" / "etc").mkdir(parents=True)
    (tmp_path / "files" / "etc" / "motd").write_text("hello")
    (tmp_path / "files" / "etc" / "shells").write_text("/bin/none\n")
    recipe = Recipe(
        name="small",
        version="3",
        packages=("busybox", "x"),
        binaries=("/bin/busybox",),
        files=("/usr/share/x/*",),
        symlinks={"/etc/link": "motd"},
    )
    files = package_files(
        busybox={"usr/bin/busybox": BUSYBOX, "usr/share/doc/busybox": File(b"")},
        x={"usr/share/x/1": File(b"one"), "usr/share/x/2": File(b"two")},
        libc6={},
    )
    root = await build_root(recipe, tmp_path, files)
    assert root.tree.find("/usr/share/x/2") == File(b"two")
    assert root.tree.find("/bin/sh") == Symlink("busybox")
    assert root.tree.find("/etc/link") == Symlink("motd")
    assert root.tree.find("/etc/motd") == File(b"hello")
    assert root.tree.find("/etc/shells") == File(b"/bin/none\n")
    assert "/usr/share/doc" not in root.tree
    assert root.used == {"busybox": "1-1", "x": "1-1"}


def test_every_machine_finds_its_mount_points() -> None:
    tree = Tree()
    add_skeleton(
        tree,
        Recipe(
            name="small", version="3", packages=("x",), directories=("/srv/data",), users={"watch": Account(uid=100)}
        ),
    )
    for path in ("dev", "proc", "sys", "run", "tmp", "etc", "root", "var/log", "srv/data"):
        assert isinstance(tree.find(path), Directory), path
    for path in ("etc/passwd", "etc/group", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/nsswitch.conf"):
        assert isinstance(tree.find(path), File), path
    assert b"watch:x:100:100:watch:/:/bin/false\n" in tree.find("etc/passwd").data  # type: ignore[union-attr]
    assert b"watch:x:100:\n" in tree.find("etc/group").data  # type: ignore[union-attr]
    assert b'PRETTY_NAME="Weft small 3"' in tree.find("etc/os-release").data  # type: ignore[union-attr]


def test_modes_owners_and_homes() -> None:
    recipe = Recipe(
        name="small",
        version="1",
        packages=("x",),
        users={"web": Account(uid=800, home="/srv/web")},
        groups={"tls": 900},
        permissions={"/etc/tls/*": Permission(mode=0o640, owner="root:tls"), "/etc/tls": Permission(owner="web")},
    )
    tree = Tree()
    add_skeleton(tree, recipe)
    tree.add("/etc/tls/key", File(b"secret"))
    tree.add("/etc/tls/link", Symlink("key"))
    apply_permissions(tree, recipe)
    assert tree.find("/etc/tls/key") == File(b"secret", 0o640, 0, 900)
    assert tree.find("/etc/tls") == Directory(0o755, 800, 800)
    assert tree.find("/srv/web") == Directory(0o750, 800, 800)
    assert tree.has_owners
    with tarfile.open(fileobj=io.BytesIO(tree.dump_tar())) as archive:
        assert (archive.getmember("etc/tls/key").gid, archive.getmember("srv/web").uid) == (900, 800)
    with pytest.raises(NotFound, match="no file or folder of the image matches /etc/tls"):
        apply_permissions(Tree(), recipe)


def test_programs_that_a_recipe_names_are_there() -> None:
    tree = Tree()
    tree.add("/usr/bin/run", File(b"", 0o755))
    tree.add("/opt", Symlink("/usr"))
    check_programs(tree, Recipe(name="a", version="1", packages=("x",), entry=Entry(argv=("/opt/bin/run",))))
    check_programs(tree, Recipe(name="a", version="1", packages=("x",), entry=Entry(argv=("run",))))
    service = Service(name="late", argv=("/sbin/gone",))
    with pytest.raises(Invalid, match=r"services\.late\.argv: there is no /sbin/gone"):
        check_programs(tree, Recipe(name="a", version="1", packages=("x",), services=(service,)))
    with pytest.raises(Invalid, match=r"health\.argv"):
        check_programs(tree, Recipe(name="a", version="1", packages=("x",), health=Health(argv=("/gone",))))


def test_a_folder_of_files_wins(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "run").chmod(0o700)
    (tmp_path / "link").symlink_to("bin/run")
    tree = Tree()
    tree.add("/tmp", Directory(0o1777))
    (tmp_path / "tmp").mkdir()
    add_folder(tree, tmp_path)
    assert tree.find("/usr/bin/run") == File(b"#!/bin/sh\n", 0o755)
    assert tree.find("/link") == Symlink("bin/run")
    assert tree.find("/tmp") == Directory(0o1777)
    add_folder(tree, tmp_path / "not-there")


def test_applets_never_hide_a_program() -> None:
    tree = Tree()
    tree.add("/bin/busybox", BUSYBOX)
    tree.add("/bin/ls", File(b"a real ls", 0o755))
    add_applets(tree, Recipe(name="small", version="1", packages=("x",)))
    assert tree.find("/bin/sh") == Symlink("busybox")
    assert tree.find("/bin/ls") == File(b"a real ls", 0o755)


def test_only_the_applets_asked_for() -> None:
    tree = Tree()
    with pytest.raises(NotFound, match="no busybox"):
        add_applets(tree, Recipe(name="small", version="1", packages=("x",)))
    tree.add("/bin/busybox", BUSYBOX)
    add_applets(tree, Recipe(name="small", version="1", packages=("x",), applets=("sh",)))
    assert "/bin/cat" not in tree
    with pytest.raises(NotFound, match="no applet emacs"):
        add_applets(tree, Recipe(name="small", version="1", packages=("x",), applets=("emacs",)))


def test_applets_are_read_not_asked_for() -> None:
    assert parse_applets(BUSYBOX.data) == ("[", "[[", "cat", "ls", "sh")
    with pytest.raises(Invalid):
        parse_applets(b"something else")


def test_an_elf_file_says_what_it_needs() -> None:
    needs = read_needs(make_elf(interpreter="/lib64/ld.so", needed=("a.so", "b.so"), runpath="$ORIGIN:/opt"), "/x/y")
    assert (needs.interpreter, needs.libraries, needs.search) == ("/lib64/ld.so", ("a.so", "b.so"), ("/x", "/opt"))


@pytest.mark.parametrize("cut", [5, 40, 100, 170, 230])
def test_a_damaged_elf_file_is_refused_or_empty(cut: int) -> None:
    data = make_elf(interpreter="/lib64/ld.so", needed=("a.so",))
    try:
        read_needs(data[:cut], "/x/y")
    except Invalid as err:
        assert "/x/y" in err.message


def test_a_package_loses_setuid_and_may_not_bring_devices() -> None:
    data = make_tar(
        (tar_member("./bin/", kind=tarfile.DIRTYPE, mode=0o755), b""),
        (tar_member("./bin/su", mode=0o4755), b"su"),
        (tar_member("./bin/sulogin", kind=tarfile.LNKTYPE, link="./bin/su"), b""),
        (tar_member("./etc/x", mode=0o600), b"x"),
    )
    nodes = parse_package_tar(data, "login")
    assert nodes["usr/bin/su"] == nodes["usr/bin/sulogin"] == File(b"su", 0o755)
    assert nodes["etc/x"] == File(b"x", 0o644)
    with pytest.raises(Invalid, match="null"):
        parse_package_tar(make_tar((tar_member("./dev/null", kind=tarfile.CHRTYPE), b"")), "odd")


def test_a_link_to_what_becomes_its_own_path_hides_no_program() -> None:
    data = make_tar(
        (tar_member("./bin/ip", mode=0o755), b"ip"),
        (tar_member("./sbin/ip", kind=tarfile.SYMTYPE, link="/bin/ip"), b""),
        (tar_member("./sbin/ifstat", kind=tarfile.SYMTYPE, link="../bin/ip"), b""),
    )
    assert parse_package_tar(data, "iproute2") == {
        "usr/bin/ip": File(b"ip", 0o755),
        "usr/bin/ifstat": Symlink("../bin/ip"),
    }


def test_what_apt_would_fetch() -> None:
    text = "'https://where/l/libgcc-s1_12%2bdeb_amd64.deb' libgcc-s1_12+deb_amd64.deb 4 MD5Sum:0\n"
    text += "'https://where/z/zlib1g_1%3a1.2_amd64.deb' zlib1g_1%3a1.2_amd64.deb 5 \nsomething else\n"
    packages = parse_uris(text, Path("/a"))
    assert [(package.name, package.version) for package in packages] == [("libgcc-s1", "12+deb"), ("zlib1g", "1:1.2")]
    assert packages[1].archive == Path("/a/zlib1g_1%3a1.2_amd64.deb")
