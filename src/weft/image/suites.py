"""Another of Debian's suites beside the host's own, such as backports: apt is told of it for one build.

Where it comes from is where the host's own packages come from. Its lists are kept in our cache, beside copies of the
host's, which apt then only has to look at.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host.process import ProcessFailed, run
from weft.model.errors import Unavailable

SOURCES, PARTS = Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UPDATE_TIMEOUT = 300.0
_FORMAT = "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)"


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the host's own packages come from: `uri` and the distribution's name, such as `bookworm`."""

    uri: str
    codename: str

    def source(self, suite: str) -> str:
        """The line for one of its suites. The host's apt may trust keys for its own sources only."""
        options = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        return f"deb {options}{self.uri} {self.codename}-{suite} main\n"


def find_archive(targets: str) -> Archive | None:
    """Debian's own among apt's targets, which are lines of `ORIGIN|URI|CODENAME|COMPONENT`.

    Updates and security are suites of it. Somebody else's source may be before it, and has no such suites.
    """
    for line in targets.splitlines():
        origin, uri, codename, component = line.split("|")
        if (origin, component) == ("Debian", "main") and "-" not in codename:
            return Archive(uri, codename)
    return None


async def add_suite(suite: str, cache: Path, lists: Path) -> list[str]:
    """Options with which apt knows the suite, and prefers it. Raises Unavailable."""
    words = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]
    archive = find_archive((await run(words, timeout=UPDATE_TIMEOUT)).text)
    if archive is None:
        raise Unavailable(
            f"apt has no source of Debian, so there is no suite {suite!r} of it", hint="see sources.list(5)"
        )
    folder = cache / f"apt-{archive.codename}-{suite}"
    parts, own_lists = folder / "parts", folder / "lists"
    shutil.rmtree(parts, ignore_errors=True)
    for made in (parts, own_lists / "partial"):
        made.mkdir(parents=True, exist_ok=True)
    for part in PARTS.iterdir() if PARTS.is_dir() else ():
        if part.suffix in (".list", ".sources"):
            shutil.copyfile(part, parts / part.name)
    (parts / "weft.list").write_text(archive.source(suite))
    _copy_new(lists, own_lists)
    options = ["-o", f"Dir::Etc::sourceparts={parts}", "-o", f"Dir::State::lists={own_lists}"]
    await _update(options, f"{archive.codename}-{suite}")
    return [*options, "-t", f"{archive.codename}-{suite}"]


def _copy_new(lists: Path, own: Path) -> None:
    for path in lists.iterdir() if lists.is_dir() else ():
        ours = own / path.name
        if (
            path.is_file()
            and path.name != "lock"
            and (not ours.exists() or ours.stat().st_mtime < path.stat().st_mtime)
        ):
            shutil.copy2(path, ours)


async def _update(options: Sequence[str], name: str) -> None:
    """As root apt would fetch as a user that may not write into our cache."""
    quiet = ["-qq", "-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any"]
    try:
        await run(["apt-get", *quiet, *options, "update"], timeout=UPDATE_TIMEOUT)
    except ProcessFailed as err:
        said = next((line[3:] for line in (err.detail or "").splitlines() if line.startswith("E: ")), err.message)
        raise Unavailable(f"apt cannot read {name}: {said}", hint="is the mirror there?", detail=err.detail) from err
