"""What is seen of a file in a machine."""

from enum import StrEnum

from pydantic import BaseModel, Field


class FileKind(StrEnum):
    """Kinds of files; `other` are devices, pipes and sockets."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


class FileView(BaseModel):
    """A file in a machine. Times are seconds since the epoch."""

    path: str
    kind: FileKind
    size: int = Field(description="bytes")
    mode: int = Field(description="permission bits")
    uid: int
    gid: int
    mtime: float
    target: str | None = Field(default=None, description="where a link points to, as it says itself")
    real: str | None = Field(default=None, description="its path without any link, if it leads somewhere")
    real_kind: FileKind | None = Field(default=None, description="what is there")
