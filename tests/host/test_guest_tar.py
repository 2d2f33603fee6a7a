"""The init's programs on this host: what `tar-create` writes all can read, what all write `tar-extract` makes."""

import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GUEST = Path(__file__).parents[2] / "guest"
LONG = "n" * 180


@pytest.fixture(scope="module")
def init() -> Path:
    subprocess.run(["make", "-s", "-C", GUEST], check=True)
    return GUEST / "build/weft-init"


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder that an archive should keep."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in sorted([root, *root.rglob("*")]):
        what, name = path.lstat(), str(path.relative_to(root))
        content: object = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        times = None if path.is_symlink() else what.st_mtime_ns
        same = first.setdefault(what.st_ino, name)
        found[name] = (oct(what.st_mode), what.st_uid, what.st_gid, what.st_rdev, times, content, same)
    return found


def make_tree(root: Path) -> Path:
    """Of everything one: names, links, modes, times, holes, devices where root makes them."""
    (root / LONG / LONG).mkdir(parents=True)
    (root / LONG / LONG / "wëird\nname").write_bytes(b"x" * 1500)
    (root / "private").mkdir(mode=0o700)
    (root / "private/file").write_bytes(b"")
    (root / "setuid").write_bytes(b"program")
    (root / "setuid").chmod(0o4755)
    os.link(root / "setuid", root / "private/other-name")
    (root / "link").symlink_to("../" + LONG)
    (root / "dangling").symlink_to("/not/there")
    os.mkfifo(root / "fifo")
    with (root / "holes").open("wb") as file:
        file.truncate(9_000_000)
        for at in (1_000_000, 4_000_000, 4_300_000):
            file.seek(at)
            file.write(b"data" * 2000)
    (root / "only-a-hole").touch()
    os.truncate(root / "only-a-hole", 1_000_000)
    if os.geteuid() == 0:
        os.mknod(root / "null", 0o20666, os.makedev(1, 3))
        os.chown(root / "private", 1234, 5_000_000)
        os.lchown(root / "link", 7, 8)
    os.utime(root / "setuid", ns=(0, 1_234_567_890_123_456_789))
    os.utime(root / "private", ns=(0, -1_750_000_000))
    os.utime(root / "private/file", ns=(0, 2**34 * 10**9))
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return make_tree(folder)


def create(init: Path, folder: Path, *names: str) -> bytes:
    return subprocess.run([init, "tar-create", folder, *names], check=True, capture_output=True).stdout


def extract(init: Path, data: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    folder.mkdir(exist_ok=True)
    return subprocess.run([init, "tar-extract", folder], input=data, capture_output=True, check=False)


def test_what_is_written_can_be_read_by_all(init: Path, tree: Path, tmp_path: Path) -> None:
    archive = create(init, tree, ".")
    assert len(archive) < 300_000  # of 10 million bytes of holes nothing is in it
    assert extract(init, archive, tmp_path / "own").stderr == b""
    assert describe(tmp_path / "own") == describe(tree)
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-x", "--warning=no-timestamp", "-p", "-C", tmp_path / "gnu"], input=archive, check=True)
    assert describe(tmp_path / "gnu") == describe(tree)
    (tmp_path / "python").mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive)) as read:
        names = {member.name.removeprefix("./"): member for member in read}
        assert names["holes"].size == 9_000_000
        content = read.extractfile(names["holes"])
        assert content and content.read() == (tree / "holes").read_bytes()
        assert names["null" if os.geteuid() == 0 else "fifo"].mtime > 0
        hard = {
            names["setuid"].type,
            names["private/other-name"].type,
        }  # which of them comes first is the disk's affair
        assert hard == {tarfile.REGTYPE, tarfile.LNKTYPE}


def test_names_are_as_they_were_given(init: Path, tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(create(init, tree, "private/file", "link", LONG))) as read:
        assert read.getnames()[:3] == ["private/file", "link", LONG]


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=gnu", "-S"]])
def test_what_gnu_tar_writes_is_made(init: Path, tree: Path, tmp_path: Path, options: list[str]) -> None:
    archive = subprocess.run(["tar", "-c", *options, "-C", tree, "."], check=True, capture_output=True).stdout
    assert extract(init, archive, tmp_path / "out").stderr == b""
    for path in [tree, *tree.rglob("*")]:  # this format has no fractions of seconds
        os.utime(path, ns=(0, path.lstat().st_mtime_ns // 10**9 * 10**9), follow_symlinks=False)
    assert describe(tmp_path / "out") == describe(tree)


@pytest.mark.parametrize("format_", ["ustar", "v7"])
def test_old_formats(init: Path, tmp_path: Path, format_: str) -> None:
    (tmp_path / "in" / ("d" * 60)).mkdir(parents=True)
    (tmp_path / "in" / ("d" * 60) / "file").write_bytes(b"y" * 513)
    if format_ == "ustar":  # in two fields
        (tmp_path / "in" / ("d" * 60) / ("f" * 60)).write_bytes(b"z")
    for path in [tmp_path / "in", *(tmp_path / "in").rglob("*")]:
        os.utime(path, (0, 1_000_000_000))
    command = ["tar", "-c", f"--format={format_}", "-C", str(tmp_path / "in"), "."]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    assert extract(init, archive, tmp_path / "out").returncode == 0
    assert describe(tmp_path / "out") == describe(tmp_path / "in")


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_files_in_all_of_gnu_s_ways(init: Path, tree: Path, tmp_path: Path, version: str) -> None:
    command = ["tar", "-c", "-S", "--format=posix", f"--sparse-version={version}", "-C", str(tree), "."]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    assert extract(init, archive, tmp_path / "out").stderr == b""
    assert describe(tmp_path / "out") == describe(tree)
    assert (tmp_path / "out/holes").stat().st_blocks < 1000


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.uid, member.gid = len(data), os.getuid(), os.getgid()
    for key, value in fields.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def python_archive(*members: tuple[str, dict[str, object]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, fields in members:
            data = fields.pop("data", b"")
            assert isinstance(data, bytes)
            add(archive, name, data, **fields)
    return out.getvalue()


def test_nothing_is_made_outside_the_folder(init: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = python_archive(
        ("/absolute", {"data": b"1"}),
        ("../../up", {"data": b"2"}),
        ("away", {"type": tarfile.SYMTYPE, "linkname": str(outside)}),
        ("away/file", {"data": b"3"}),
        ("up", {"type": tarfile.LNKTYPE, "linkname": "../../../absolute"}),
    )
    result = extract(init, archive, tmp_path / "in")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "outside"]
    assert not list(outside.iterdir())
    assert (tmp_path / "in/up").read_bytes() == b"1"
    # The link is followed as if the folder were `/`, where no such folder is.
    assert result.returncode == 1 and b"away/file" in result.stderr


def test_a_folder_is_merged_and_a_link_to_one_is_kept(init: Path, tmp_path: Path) -> None:
    target = tmp_path / "in"
    (target / "usr/lib").mkdir(parents=True)
    (target / "lib").symlink_to("usr/lib")
    (target / "usr/lib/old").write_text("old")
    (target / "file").symlink_to("usr/lib/old")
    folder: dict[str, object] = {"type": tarfile.DIRTYPE, "mode": 0o755}
    archive = python_archive(("lib", folder), ("lib/new", {"data": b"new"}), ("file", {"data": b"own"}))
    assert extract(init, archive, target).returncode == 0
    assert (target / "lib").is_symlink() and (target / "usr/lib/new").read_text() == "new"
    assert (target / "usr/lib/old").read_text() == "old"
    assert not (target / "file").is_symlink() and (target / "file").read_text() == "own"


def test_a_file_does_not_take_the_place_of_a_folder(init: Path, tmp_path: Path) -> None:
    (tmp_path / "in/folder").mkdir(parents=True)
    result = extract(init, python_archive(("folder", {"data": b"x"}), ("after", {"data": b"y"})), tmp_path / "in")
    assert result.returncode == 1 and result.stderr.count(b"\n") == 1
    assert (tmp_path / "in/after").read_bytes() == b"y"


def test_what_is_missing_is_named_and_the_rest_written(init: Path, tree: Path) -> None:
    result = subprocess.run([init, "tar-create", tree, "absent", "setuid"], capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stderr == b"tar-create: absent: No such file or directory\n"
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as read:
        assert read.getnames() == ["setuid"]


@pytest.mark.parametrize("damage", ["cut", "checksum", "pax"])
def test_a_damaged_archive_is_said_to_be_one(init: Path, tree: Path, tmp_path: Path, damage: str) -> None:
    archive = bytearray(create(init, tree, "."))
    if damage == "cut":
        del archive[len(archive) // 2 + 100 :]
    elif damage == "checksum":
        archive[148:152] = b"7777"
    else:
        archive = bytearray(python_archive(("ä" * 90, {"data": b"x"})))
        archive[512:514] = b"99"
    result = extract(init, bytes(archive), tmp_path / "in")
    assert result.returncode == 2
    assert b"tar-extract: damaged archive: " in result.stderr


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.dictionaries(names.filter(lambda name: name not in (".", "..")), st.binary(max_size=2000), max_size=8)
)
def test_whatever_the_names(init: Path, tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("names")
    (folder / "in").mkdir()
    for name, data in members.items():
        (folder / "in" / name).write_bytes(data)
    assert extract(init, create(init, folder / "in", "."), folder / "out").returncode == 0
    assert describe(folder / "out") == describe(folder / "in")


def test_noise_ends_with_a_status_and_never_a_signal(init: Path, tree: Path, tmp_path: Path) -> None:
    archive, dice = create(init, tree, "private", "link", "holes", LONG), random.Random(7)
    for number in range(60):
        damaged = bytearray(archive[:40_000])
        for _ in range(dice.randrange(1, 20)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        assert extract(init, bytes(damaged), tmp_path / str(number)).returncode in (0, 1, 2)


def test_stat_says_what_is_there(init: Path, tree: Path) -> None:
    def stat(path: Path) -> dict[str, str]:
        lines = subprocess.run([init, "stat", path], check=True, capture_output=True, text=True).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines)

    assert stat(tree / "setuid") | {} == {
        "type": "file",
        "mode": "4755",
        "uid": str(os.getuid()),
        "gid": str(os.getgid()),
        "size": "7",
        "mtime_ns": "1234567890123456789",
        "real": str(tree / "setuid"),
        "real_type": "file",
    }
    assert stat(tree / "dangling")["target"] == "/not/there" and "real" not in stat(tree / "dangling")
    assert stat(tree / LONG / LONG / "wëird\nname")["real"].endswith("wëird%0Aname")
    (tree / "loop").symlink_to("private")
    assert (stat(tree / "loop")["type"], stat(tree / "loop")["real_type"]) == ("link", "folder")
    absent = subprocess.run([init, "stat", tree / "absent"], capture_output=True, check=False)
    assert (absent.returncode, absent.stderr.count(b"\n")) == (1, 1)


def test_processes_are_listed(init: Path) -> None:
    out = subprocess.run([init, "processes"], check=True, capture_output=True, text=True).stdout
    own = [line.split(" ") for line in out.splitlines() if line.split(" ")[0] == str(os.getpid())]
    assert own and own[0][2] == str(os.getuid()) and len(own[0]) == 9 and "python" in own[0][8]


def test_an_unknown_program_is_refused_with_the_names_of_all(init: Path) -> None:
    result = subprocess.run([init, "nonsense"], capture_output=True, check=False)
    assert result.returncode == 2 and b"tar-extract" in result.stderr
