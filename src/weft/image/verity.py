"""A hash tree behind a root file system, so that a block that was changed is noticed when it is read.

dm-verity, version 1, SHA-256, blocks of 4 KiB
(https://docs.kernel.org/admin-guide/device-mapper/verity.html). The tree lies in the same file, behind the data. Salt
and UUID come from the data: equal images stay equal.
"""

import asyncio
import hashlib
import re
import uuid
from pathlib import Path

from weft.host.process import ProcessFailed, run
from weft.model.errors import Internal
from weft.model.image import Verity

BLOCK = 4096
VERITY_TIMEOUT = 300.0

_ROOT_HASH = re.compile(r"^Root hash:\s*([0-9a-f]{64})$", re.MULTILINE)


async def append_tree(path: Path) -> Verity:
    """Append the hash tree of the file at `path` to it. Raises Unavailable without veritysetup (cryptsetup-bin)."""
    size, digest = await asyncio.to_thread(_pad, path)
    salt = hashlib.sha256(b"weft verity salt " + digest).hexdigest()
    argv = ["veritysetup", "format", f"--hash-offset={size}", f"--salt={salt}", "--hash=sha256"]
    argv += [f"--uuid={uuid.UUID(bytes=digest[:16], version=5)}", f"--data-blocks={size // BLOCK}"]
    argv += [f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}", str(path), str(path)]
    try:
        found = _ROOT_HASH.search((await run(argv, timeout=VERITY_TIMEOUT)).text)
    except ProcessFailed as err:
        raise Internal(f"veritysetup could not make the hash tree of {path}", detail=err.detail) from err
    if found is None:
        raise Internal("veritysetup did not say the root hash")
    # The tree begins one block behind the data, whose first block is veritysetup's own header.
    return Verity(root_hash=found[1], salt=salt, blocks=size // BLOCK, tree=size // BLOCK + 1)


def _pad(path: Path) -> tuple[int, bytes]:
    """Make the file whole blocks; its size and digest."""
    with path.open("r+b") as file:
        size = -(-file.seek(0, 2) // BLOCK) * BLOCK
        file.truncate(size)
        file.seek(0)
        return size, hashlib.file_digest(file, "sha256").digest()
