"""Debian packages as a source of files: apt chooses and fetches, dpkg-deb opens, nothing is installed.

apt works on an empty status file, so what the host has installed plays no part, and in our own cache, so root is not
needed. Its package lists are the host's.
"""

import asyncio
import hashlib
import io
import posixpath
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from weft.host.process import ProcessFailed, run
from weft.image.cache import open_cache_folder
from weft.image.suites import add_suite
from weft.image.tree import Directory, File, Node, Symlink, normal_path
from weft.model.errors import Invalid, NotFound, Unavailable

APT_LISTS = Path("/var/lib/apt/lists")
APT_TIMEOUT = 600.0
UNPACK_TIMEOUT = 120.0


@dataclass(frozen=True)
class Package:
    """A package that was fetched."""

    name: str
    version: str
    archive: Path


PackageReader = Callable[[Package], Awaitable[dict[str, Node]]]


class PackageFiles:
    """The files of a set of packages, by path. A package is opened when something may be in it, not before."""

    def __init__(self, packages: Sequence[Package], read: PackageReader | None = None) -> None:
        """`read` gives what is in a package; by default dpkg-deb is asked."""
        self._packages = {package.name: package for package in packages}
        self._read = read or read_package
        self._nodes: dict[str, dict[str, Node]] = {}

    async def open(self, name: str) -> dict[str, Node]:
        """Everything in one package. Raises NotFound for a package that is not in the set."""
        if name not in self._packages:
            raise NotFound(f"package {name} is not among the fetched ones")
        if name not in self._nodes:
            self._nodes[name] = await self._read(self._packages[name])
        return self._nodes[name]

    async def find(self, path: str, likely: str = "") -> tuple[Package, Node] | None:
        """The package that has a path, and what it has there. Packages named like `likely` are opened first."""
        clean = normal_path(path)
        for name in sorted(self._packages, key=lambda name: (name not in self._nodes, -_likeness(name, likely), name)):
            node = (await self.open(name)).get(clean)
            if node is not None:
                return self._packages[name], node
        return None


def _likeness(name: str, other: str) -> int:
    """How many characters the two begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name.lower(), other.lower(), strict=False)))


async def fetch_packages(names: Sequence[str], cache: Path, suite: str = "") -> list[Package]:
    """The packages and all they depend on, from apt's cache or the network; out of this suite where it has them.

    Raises NotFound for a name that apt does not know, Unavailable without apt, its lists or the network."""
    async with open_cache_folder(cache / "debs", timeout=APT_TIMEOUT) as archives:
        options = await add_suite(suite, cache, APT_LISTS) if suite else []
        wanted = await _choose_packages([*options, *names], archives)
        if not all(package.archive.is_file() for package in wanted):
            (archives / "partial").mkdir(exist_ok=True)
            await _apt(archives, *options, "--download-only", *names)
    missing = [package.archive.name for package in wanted if not package.archive.is_file()]
    if missing:
        raise Unavailable(f"apt did not deliver {missing[0]}", hint="look at the space left and at apt's sources")
    return wanted


async def _choose_packages(names: Sequence[str], archives: Path) -> list[Package]:
    """What apt would fetch. It lists only what its archive folder lacks, so it is shown an empty one."""
    with tempfile.TemporaryDirectory(prefix="weft-apt-") as nothing:
        return parse_uris(await _apt(Path(nothing), "--print-uris", *names), archives)


async def _apt(archives: Path, *arguments: str) -> str:
    with tempfile.NamedTemporaryFile(prefix="weft-apt-status-") as status:
        argv = [
            *("apt-get", "-qq", "-y", "--no-install-recommends"),
            *("-o", f"Dir::State::status={status.name}", "-o", f"Dir::Cache::archives={archives}"),
            *("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=1"),
            *("install", *arguments),
        ]
        try:
            return (await run(argv, timeout=APT_TIMEOUT)).stdout.decode()
        except ProcessFailed as err:
            raise _apt_error(err, arguments) from err


def _apt_error(err: ProcessFailed, arguments: Sequence[str]) -> NotFound | Unavailable:
    complaint = next((line[3:] for line in (err.detail or "").splitlines() if line.startswith("E: ")), err.message)
    if "Unable to locate package" in complaint or "no installation candidate" in complaint:
        return NotFound(f"apt: {complaint}", hint="apt-get update brings its lists up to date")
    names = " ".join(name for name in arguments if name[0].isalnum() and "=" not in name)
    return Unavailable(f"apt cannot fetch {names}: {complaint}", hint="apt-get update may help", detail=err.detail)


def parse_uris(text: str, archives: Path) -> list[Package]:
    """Lines of `apt-get --print-uris`: 'URI' FILE SIZE HASH, where FILE is NAME_VERSION_ARCH.deb, percent-encoded."""
    packages = []
    for line in text.splitlines():
        if line.startswith("'"):
            file_name = line.split(" ")[1]
            name, version, _arch = file_name.removesuffix(".deb").split("_")
            packages.append(Package(name, unquote(version), archives / file_name))
    return packages


async def read_package(package: Package) -> dict[str, Node]:
    """Everything in a package's archive. Raises Unavailable when that is damaged."""
    try:
        done = await run(["dpkg-deb", "--fsys-tarfile", str(package.archive)], timeout=UNPACK_TIMEOUT)
    except ProcessFailed as err:
        hint = f"delete {package.archive} to fetch it again"
        raise Unavailable(f"package {package.name} cannot be read", hint=hint, detail=err.detail) from err
    return await asyncio.to_thread(parse_package_tar, done.stdout, package.name)


def parse_package_tar(data: bytes, name: str) -> dict[str, Node]:
    """The nodes of a package's file archive. Setuid bits and owners are dropped; devices have no place in one."""
    nodes: dict[str, Node] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            node = _node_of(archive, member, nodes)
            if node is None:
                raise Invalid(f"package {name}: {member.name} is neither a file, a link nor a directory")
            path = normal_path(member.name)
            # Where /bin and /sbin are one, /sbin/ip -> /bin/ip says nothing, and must not take the program's place.
            if not (isinstance(node, Symlink) and _leads_to(path, node) == path):
                nodes[path] = node
    return nodes


def _leads_to(path: str, link: Symlink) -> str:
    return normal_path(posixpath.join(posixpath.dirname("/" + path), link.target))


def _node_of(archive: tarfile.TarFile, member: tarfile.TarInfo, nodes: dict[str, Node]) -> Node | None:
    if member.isdir():
        return Directory(member.mode & 0o1777)
    if member.issym():
        return Symlink(member.linkname)
    if member.islnk():
        return nodes.get(normal_path(member.linkname))
    if member.isreg() and (source := archive.extractfile(member)) is not None:
        return File(source.read(), 0o755 if member.mode & 0o100 else 0o644)
    return None


def digest_lists(lists: Path = APT_LISTS) -> str:
    """A fingerprint of apt's package lists: the same one means that apt would choose the same versions again."""
    try:
        files = sorted(path for path in lists.iterdir() if path.is_file() and path.name != "lock")
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError:
        facts = []
    return hashlib.sha256(repr(facts).encode()).hexdigest()
