"""From a recipe and its packages to the root file system: what is wanted, what that needs, and nothing else."""

import fnmatch
import posixpath
from pathlib import Path

from weft.image.elf import ELF_MAGIC, read_needs
from weft.image.packages import Package, PackageFiles
from weft.image.recipe import Recipe
from weft.image.stub import Wanted, find_wanted, make_stub
from weft.image.tree import MAX_LINKS, Directory, File, Symlink, Tree, normal_path
from weft.model.errors import Invalid, NotFound

LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/lib64")
"""Where Debian's dynamic linker looks without being told."""

BUSYBOX = "/usr/bin/busybox"
APPLET_TABLE_START = b"[\0[[\0"
"""busybox keeps its applets' names sorted, each ended by a NUL, the list by an empty name; these two sort first."""

FOLDERS = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o1777, "root": 0o700, "mnt": 0o755}
FOLDERS |= {"etc": 0o755, "home": 0o755, "srv": 0o755, "var/log": 0o755, "var/tmp": 0o1777, "var/lib": 0o755}
LINKS = {"var/run": "/run", "etc/mtab": "/proc/self/mounts"}

PROFILE = "export PATH=/usr/local/bin:/usr/bin\nexport PS1='\\h:\\w\\$ '\n"
SHELLS = "/bin/sh\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"
# The init writes these three; they must exist so that it can bind over them when the root is read-only.
WRITTEN_AT_BOOT = ("etc/hostname", "etc/hosts", "etc/resolv.conf")


class RootBuilder:
    """Fills a tree from packages, and remembers which package gave what."""

    def __init__(self, files: PackageFiles, stubs: tuple[str, ...] = ()) -> None:
        self.tree = Tree()
        self.packages: dict[str, Package] = {}
        self.origins: dict[str, str] = {}
        """The package of each path that came from one."""
        self.files = files
        self._stubs: dict[str, set[Wanted]] = {name: set() for name in stubs}

    @property
    def used(self) -> dict[str, str]:
        """Name and version of every package with a file here."""
        return {name: package.version for name, package in sorted(self.packages.items())}

    async def add_binary(self, path: str) -> None:
        """A file of any package, with everything it needs to run. Raises NotFound."""
        await self._add_file(path, path, likely=posixpath.basename(path), links=0)

    async def add_glob(self, packages: tuple[str, ...], pattern: str) -> None:
        """Every file of the named packages whose path matches. Raises NotFound when none does."""
        wanted = normal_path(pattern)
        paths = {path for name in packages for path in fnmatch.filter(await self.files.open(name), wanted)}
        if not paths:
            raise NotFound(f"no file of {', '.join(packages)} matches {pattern}")
        for path in sorted(paths):
            await self._add_file("/" + path, pattern, likely="", links=0)

    async def add_stubs(self) -> None:
        """What stands in for libraries that nothing uses. Raises Invalid for one that nothing names."""
        for library, wanted in self._stubs.items():
            if not wanted:
                raise Invalid(f"stubs: nothing in this image needs {library}")
            self.tree.add(f"{LIBRARY_FOLDERS[0]}/{library}", File(await make_stub(library, wanted), 0o644))

    async def _add_file(self, path: str, wanted_by: str, likely: str, links: int) -> None:
        if path in self.tree and not isinstance(self.tree.find(path), Directory):
            return
        if links > MAX_LINKS:
            raise Invalid(f"{wanted_by}: too many symbolic links at {path}")
        found = await self.files.find(path, likely)
        if found is None:
            raise NotFound(f"no package has {path}, which {wanted_by} needs", hint="add its package to the recipe")
        package, node = found
        self.packages[package.name] = package
        self.origins[normal_path(path)] = package.name
        self.tree.add(path, node)
        if isinstance(node, Symlink):
            target = posixpath.join(posixpath.dirname("/" + normal_path(path)), node.target)
            await self._add_file(target, path, package.name, links + 1)
        elif isinstance(node, File) and node.data.startswith(ELF_MAGIC):
            await self._add_needs(node, "/" + normal_path(path))

    async def _add_needs(self, node: File, path: str) -> None:
        needs = read_needs(node.data, path)
        if needs.interpreter:
            await self._add_file(needs.interpreter, path, likely="libc6", links=0)
        for library in needs.libraries:
            if library in self._stubs:
                self._stubs[library] |= find_wanted(node.data, path, library)
                continue
            await self._add_library(library, (*needs.search, *LIBRARY_FOLDERS), path)

    async def _add_library(self, name: str, folders: tuple[str, ...], wanted_by: str) -> None:
        for folder in folders:
            path = name if name.startswith("/") else f"{folder}/{name}"
            if path in self.tree or await self.files.find(path, likely=name):
                await self._add_file(path, wanted_by, likely=name, links=0)
                return
        raise NotFound(f"no package has {name}, which {wanted_by} needs", hint="add its package to the recipe")


async def build_root(recipe: Recipe, folder: Path, files: PackageFiles) -> RootBuilder:
    """The whole root file system of a recipe. `folder` holds `files/`, whose contents win over everything else."""
    builder = RootBuilder(files, recipe.stubs)
    add_skeleton(builder.tree, recipe)
    for path in recipe.binaries:
        await builder.add_binary(path)
    for pattern in recipe.files:
        await builder.add_glob(recipe.packages, pattern)
    await builder.add_stubs()
    add_applets(builder.tree, recipe)
    for path, target in recipe.symlinks.items():
        builder.tree.add(path, Symlink(target))
    add_folder(builder.tree, folder / "files")
    apply_permissions(builder.tree, recipe)
    return builder


def add_skeleton(tree: Tree, recipe: Recipe) -> None:
    """What every machine expects to find: mount points, accounts, and the files that the init fills in."""
    for path, mode in FOLDERS.items():
        tree.add(path, Directory(mode))
    for path in recipe.directories:
        tree.add(path, Directory())
    for path, target in LINKS.items():
        tree.add(path, Symlink(target))
    release = f'ID=weft\nNAME=Weft\nVARIANT_ID={recipe.name}\nPRETTY_NAME="Weft {recipe.name} {recipe.version}"\n'
    accounts = recipe.accounts
    texts = {"passwd": accounts.dump_passwd(), "group": accounts.dump_group()}
    texts |= {"profile": PROFILE, "shells": SHELLS, "nsswitch.conf": NSSWITCH}
    for name, text in {**texts, "os-release": release}.items():
        tree.add(f"etc/{name}", File(text.encode()))
    for path in WRITTEN_AT_BOOT:
        tree.add(path, File(b""))
    for home, owner in accounts.homes:
        tree.add(home, Directory(0o750, owner.uid, owner.gid))


def add_applets(tree: Tree, recipe: Recipe) -> None:
    """Links to busybox, where no program has the name already. Raises NotFound for an applet it does not have."""
    busybox = tree.find(BUSYBOX)
    if not isinstance(busybox, File):
        raise NotFound("there is no busybox in this image", hint=f"add {BUSYBOX} to the recipe's binaries")
    known = parse_applets(busybox.data)
    wanted = known if recipe.applets == "all" else recipe.applets
    for name in wanted:
        if name not in known:
            raise NotFound(f"this busybox has no applet {name}")
        if f"usr/bin/{name}" not in tree:
            tree.add(f"usr/bin/{name}", Symlink("busybox"))


def parse_applets(busybox: bytes) -> tuple[str, ...]:
    """The applets' names, read from the binary. Raises Invalid when it has no such table."""
    start = busybox.find(APPLET_TABLE_START)
    end = busybox.find(b"\0\0", start)
    if start < 0 or end < 0:
        raise Invalid("no table of applets in this busybox")
    return tuple(name.decode("ascii") for name in busybox[start:end].split(b"\0"))


def add_folder(tree: Tree, folder: Path) -> None:
    """A folder of the host, laid over the tree. Of the modes only `executable` counts: the rest is the umask's."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            tree.add(name, Symlink(str(path.readlink())))
        elif path.is_dir():
            if name not in tree:
                tree.add(name, Directory())
        else:
            tree.add(name, File(path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644))


def apply_permissions(tree: Tree, recipe: Recipe) -> None:
    """Modes and owners that the recipe wants, in its order. Raises NotFound for a glob that matches nothing."""
    accounts = recipe.accounts
    for pattern, wanted in recipe.permissions.items():
        identity = accounts.resolve(wanted.owner, f"permissions.{pattern}") if wanted.owner else None
        owner = (identity.uid, identity.gid) if identity else None
        if not tree.change(pattern, mode=wanted.mode, owner=owner):
            raise NotFound(f"permissions: no file or folder of the image matches {pattern}")


def check_programs(tree: Tree, recipe: Recipe) -> None:
    """Every program that the recipe names by its path is in the image. Raises Invalid naming key and path."""
    programs = {"entry.argv": recipe.entry.argv, "settings.apply": recipe.settings.apply}
    programs |= {
        "entry.entrypoint": recipe.entry.entrypoint,
        "health.argv": recipe.health.argv if recipe.health else (),
    }
    programs |= {f"services.{service.name}.argv": service.argv for service in recipe.services}
    for key, argv in programs.items():
        if argv and argv[0].startswith("/") and not tree.has(argv[0]):
            raise Invalid(f"{key}: there is no {argv[0]} in this image", hint="binaries and files say what goes in")
