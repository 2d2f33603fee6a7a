"""Files that are there whole, or not at all, whenever the power fails."""

import os
from pathlib import Path


def put_in_place(draft: Path, path: Path) -> None:
    """The draft, in the same folder, takes this name once it is on disk; afterwards that is on disk too."""
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
