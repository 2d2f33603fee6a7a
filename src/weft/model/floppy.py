"""What is on a floppy, as it is shown."""

from pydantic import BaseModel

FLOPPY_BYTES = 1_474_560
"""80 tracks of 2 sides of 18 sectors of 512 bytes: what is sold as 1.44 MB."""


class FloppyFile(BaseModel):
    """A file or a folder, by its path on the floppy. `modified` is local time, as FAT keeps it."""

    path: str
    size: int = 0
    modified: str = ""
    folder: bool = False


class FloppyView(BaseModel):
    """A floppy: its file on the host, its label, what is on it, and how many bytes are free."""

    floppy: str
    label: str
    free: int
    files: list[FloppyFile]
