"""Archives of the host that commands take in: sent to the API piece by piece."""

from collections.abc import Iterator
from pathlib import Path

from weft.client.packing import pack_layout, read_pieces
from weft.model.errors import Invalid, NotFound


def send_archive(path: str) -> Iterator[bytes]:
    """A file, or a folder with an OCI layout as a tar. Raises Invalid and NotFound, with the first piece."""
    if not path.startswith("/"):
        raise Invalid(f"{path!r} is not an absolute path")
    if Path(path).is_dir():
        yield from pack_layout(Path(path))
        return
    try:
        with Path(path).open("rb") as opened:
            yield from read_pieces(opened)
    except OSError as err:
        raise NotFound(f"{path} cannot be read: {err.strerror}") from err
