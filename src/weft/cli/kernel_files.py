"""Kernels that are given by their files: `--kernel ./9pc64`."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from weft.model.errors import NotFound

if TYPE_CHECKING:
    from weft.client import Client

_DIGITS = 8
_LONGEST = 63 - 1 - _DIGITS


def take_kernel(client: "Client", file: Path) -> str:
    """The name of the kernel in `file`, which is taken unless it is there already. Raises NotFound, Invalid for what is
    no kernel."""
    name = name_for(file)
    if not any(view["name"] == name for view in client.kernels()):
        client.import_kernel(str(file.absolute()), name=name)
    return name


def name_for(file: Path) -> str:
    """What a kernel is called after its file and what is in it: another one never takes its place. Raises NotFound."""
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err
    stem = re.sub(r"[^a-z0-9]+", "-", file.name.lower()).strip("-")[:_LONGEST].rstrip("-") or "kernel"
    return f"{stem}-{digest[:_DIGITS]}"
