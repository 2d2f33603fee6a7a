"""Where a copy comes from and where it goes: `MACHINE:PATH`, a path of this host, or `-`. No input or output."""

from dataclasses import dataclass

from weft.model.errors import Invalid, NotFound, WrongState


@dataclass(frozen=True, slots=True)
class Place:
    """`machine` None: this host. `path` as it was written; `-` on this host is a stream."""

    machine: str | None
    path: str

    @property
    def is_stream(self) -> bool:
        return self.machine is None and self.path == "-"

    @property
    def wants_contents(self) -> bool:
        """`DIR/.`: what is in it, not the folder itself."""
        return self.path in (".", "/") or self.path.endswith("/.")

    @property
    def wants_folder(self) -> bool:
        """A slash at the end: this is a folder."""
        return self.path.endswith("/") or self.wants_contents

    @property
    def base(self) -> str:
        """Its own name in the folder it is in."""
        parts = [part for part in self.path.split("/") if part not in ("", ".")]
        return parts[-1] if parts else ""

    @property
    def parent(self) -> str:
        """The folder that it is in."""
        folder, slash, _ = self.path.rstrip("/").removesuffix("/.").rstrip("/").rpartition("/")
        return folder or ("/" if slash or self.machine else ".")

    def __str__(self) -> str:
        return f"{self.machine}:{self.path}" if self.machine else self.path


def parse_place(text: str) -> Place:
    """A colon before any slash ends the name of a machine; `./a:b` is a file of this host. Raises Invalid."""
    machine, colon, path = text.partition(":")
    if not colon or "/" in machine or machine.startswith("."):
        if not text:
            raise Invalid("a path is empty")
        return Place(None, text)
    if not machine or not path:
        raise Invalid(f"{text!r} is not MACHINE:PATH")
    return Place(machine, path)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a copy goes: into `folder`, under `name`; None: what is in the source, straight into it."""

    folder: str
    name: str | None


def plan_landing(source: Place, *, folder: bool, target: Place, exists: bool, target_folder: bool) -> Landing:
    """As `docker cp` decides. `folder`: the source is one; `target_folder`: so is what is at the target.

    Raises NotFound or WrongState when it cannot be done.
    """
    if exists and target_folder:
        return Landing(target.path, None if folder and source.wants_contents else source.base)
    if exists and (folder or target.wants_folder):
        raise WrongState(f"{target} is there and no folder")
    if not exists and target.wants_folder and not folder:
        raise NotFound(f"folder {target} does not exist")
    return Landing(target.parent, target.base)
