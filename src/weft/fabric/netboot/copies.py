"""Copies of what a machine's user has for it to boot, beside what is made for it, by the names that it asks for."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from weft.host.boot_folder import walk_folder
from weft.host.media import Drive, open_medium
from weft.model.boot_files import BootFile
from weft.model.errors import Invalid, Unavailable


@dataclass(frozen=True, slots=True)
class BootCopies:
    """They go into `folder`, in which those of the names `made` are already. None is of the fabric's `home`."""

    folder: Path
    home: Path
    made: Collection[str]

    def make(self, files: Sequence[BootFile]) -> None:
        """Copy them all; one that was named by itself goes over a folder's, and a later folder's over an earlier one's.

        Raises Invalid, NotFound, Unavailable.
        """
        for file in files:
            if file.is_folder:
                for found in walk_folder(Path(file.path), self.home):
                    self._copy(found.fd, file.name_of(found.name))
        for file in files:
            if not file.is_folder:
                with ExitStack() as stack:
                    self._copy(open_medium(stack, Path(file.path), Drive.CDROM, self.home).fd, file.name)

    def _copy(self, source: int, name: str) -> None:
        if name in self.made:
            raise Invalid(f"boot file {name!r} has the name of one that is made", hint="call it something else")
        with written(name), make_folder(self.folder, name).open("wb") as target:
            shutil.copyfileobj(os.fdopen(source, "rb", closefd=False), target, 1 << 20)
            os.fchmod(target.fileno(), 0o644)


def make_folder(folder: Path, name: str) -> Path:
    """Where a file of this name is to be, in folders that are there then. Who serves them is another user."""
    for part in [*reversed(PurePosixPath(name).parents), *([] if name else [PurePosixPath()])]:
        place = folder / part
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
    return folder / name


@contextmanager
def written(name: str = "") -> Iterator[None]:
    """Raises Unavailable, Invalid for a file that is to be where a folder is, or a folder where a file is."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as err:
        raise Invalid(f"boot file {name!r} and others cannot both be: one is a file where one is a folder") from err
    except OSError as err:
        raise Unavailable(f"cannot write what a machine is to boot: {err.strerror}") from err
