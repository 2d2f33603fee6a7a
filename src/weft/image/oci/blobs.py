"""Content by its digest, below HOME/blobs: whole and verified under its name, in part below `partial/`, or not there.

A blob gets its name by one rename, after its size and digest were compared and its bytes are on disk. What was cut off
stays under `partial/` and is gone on with; whoever goes on reads it again to have its digest so far.
"""

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from weft.image.oci.manifest import Descriptor
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable
from weft.model.reference import DIGEST_PATTERN

PIECE = 1 << 20
_FILE = re.compile(DIGEST_PATTERN.replace(":", "/"))


class BlobStore:
    """The blobs of the fabric at `home`. What requests are busy with is held, and not pruned."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "blobs"
        self._held: dict[str, int] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def path(self, digest: str) -> Path:
        """Where the blob of this digest is, or would be. Raises Invalid for what is no digest."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise Invalid(f"{digest[:80]!r} is no sha256 or sha512 digest")
        return self.folder / digest.replace(":", "/")

    def has(self, blob: Descriptor) -> bool:
        """Whether it is here, whole. Raises Invalid when its size is another than was said."""
        try:
            size = self.path(blob.digest).stat().st_size
        except OSError:
            return False
        if size != blob.size:
            raise Invalid(f"{blob.digest} has {size} bytes and not {blob.size}")
        return True

    def read(self, digest: str) -> bytes:
        """A small blob, a manifest or a config. Raises NotFound."""
        try:
            return self.path(digest).read_bytes()
        except OSError as err:
            raise NotFound(f"blob {digest} is not here", hint="weft image pull fetches the image again") from err

    def add(self, data: bytes) -> str:
        """Keep a small blob; its digest."""
        digest = digest_of(data)
        if not self.path(digest).exists():
            with self.open_draft() as draft:
                (draft / "blob").write_bytes(data)
                self.take(draft / "blob", digest)
        return digest

    def take(self, file: Path, digest: str) -> None:
        """Move a verified file, on the same file system, to where it belongs. Raises Unavailable."""
        path = self.path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            file.replace(path)
        except OSError as err:
            raise translate(err, self.folder) from err

    @contextmanager
    def open_draft(self) -> Iterator[Path]:
        """An empty folder on the same file system, gone afterwards. Raises Unavailable, NoRoom."""
        draft = self.make_draft()
        try:
            yield draft
        except OSError as err:
            raise translate(err, draft) from err
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def make_draft(self) -> Path:
        """The same, to be removed by the caller; the next daemon sweeps what one that died has left."""
        try:
            (self.folder / "draft").mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=self.folder / "draft"))
        except OSError as err:
            raise translate(err, self.folder) from err

    @contextmanager
    def hold(self, digests: Iterable[str]) -> Iterator[None]:
        """While this lasts these are not pruned, be they here already or not."""
        held = list(digests)
        for digest in held:
            self._held[digest] = self._held.get(digest, 0) + 1
        try:
            yield
        finally:
            for digest in held:
                self._held[digest] -= 1
                if not self._held[digest]:
                    del self._held[digest]

    @asynccontextmanager
    async def locked(self, digest: str) -> AsyncIterator[None]:
        """One at a time for each blob: whoever comes second finds it here."""
        lock = self._locks.setdefault(digest, asyncio.Lock())
        with self.hold([digest]):
            async with lock:
                yield

    def check_room(self, size: int) -> None:
        """Raises NoRoom when so many bytes would not fit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise NoRoom(f"{size >> 20} MiB are to be fetched and {free >> 20} MiB are free at {self.folder}")

    def partial_path(self, digest: str) -> Path:
        """Where a blob is while it is being fetched."""
        return self.folder / "partial" / self.path(digest).relative_to(self.folder).as_posix().replace("/", "-")

    def prune(self, needed: Iterable[str]) -> tuple[int, int]:
        """Remove what is neither needed nor held, and what was fetched in part; how many, and their bytes."""
        kept = {self.path(digest) for digest in (*needed, *self._held)}
        kept |= {self.partial_path(digest) for digest in self._held}
        removed, freed = 0, 0
        for path in self._files():
            if path not in kept:
                freed += path.stat().st_size
                path.unlink()
                removed += 1
        return removed, freed

    def sweep(self) -> None:
        """Remove drafts of a daemon that died. For the start of one."""
        shutil.rmtree(self.folder / "draft", ignore_errors=True)

    def _files(self) -> list[Path]:
        files = [path for path in self.folder.glob("*/*") if path.is_file()]
        return [path for path in files if path.parent.name == "partial" or self._is_blob(path)]

    def _is_blob(self, path: Path) -> bool:
        return _FILE.fullmatch(path.relative_to(self.folder).as_posix()) is not None


class PartialBlob:
    """A blob on its way in. Writes come in order; the size and then the digest decide whether it is kept."""

    def __init__(self, store: BlobStore, blob: Descriptor) -> None:
        self._store = store
        self._blob = blob
        self._hash = hashlib.new(blob.digest.partition(":")[0], usedforsecurity=True)
        self._path = store.partial_path(blob.digest)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab+")
        self.size = 0

    @property
    def is_whole(self) -> bool:
        return self.size == self._blob.size

    def resume(self) -> None:
        """Read what an earlier try left. Takes as long as reading does: call it in a thread."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            self._hash.update(piece)
            self.size += len(piece)
        if self.size > self._blob.size:
            self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._file.truncate(0)
        self._hash = hashlib.new(self._blob.digest.partition(":")[0])
        self.size = 0

    def write(self, data: bytes) -> None:
        """The next bytes. Raises Invalid beyond the size that was said, NoRoom. Call it in a thread."""
        if self.size + len(data) > self._blob.size:
            self.discard()
            raise Invalid(f"{self._blob.digest} is longer than the {self._blob.size} bytes its manifest says")
        try:
            self._file.write(data)
        except OSError as err:
            raise translate(err, self._path) from err
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> bool:
        """Compare and keep it; False, and nothing is left of it, for another digest. Call it in a thread."""
        self._file.flush()
        algorithm, _, expected = self._blob.digest.partition(":")
        if not self.is_whole or self._hash.hexdigest() != expected:
            self.discard()
            return False
        self._file.close()
        self._store.take(self._path, f"{algorithm}:{expected}")
        return True

    def discard(self) -> None:
        """Nothing of it is worth keeping."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go; what is written stays for another try."""
        self._file.close()


@contextmanager
def open_partial(store: BlobStore, blob: Descriptor) -> Iterator[PartialBlob]:
    """A blob to be written, within its lock. Raises Unavailable."""
    try:
        partial = PartialBlob(store, blob)
    except OSError as err:
        raise translate(err, store.folder) from err
    try:
        yield partial
    finally:
        partial.close()


def digest_of(data: bytes) -> str:
    """Its sha256 digest, as manifests write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def verify(data: bytes, digest: str, where: str) -> bytes:
    """The data, if it has this digest. Raises Invalid."""
    algorithm, _, expected = digest.partition(":")
    if hashlib.new(algorithm, data).hexdigest() != expected:
        raise Invalid(f"{where} does not have the digest {digest}")
    return data


def translate(err: OSError, place: Path) -> NoRoom | Unavailable:
    """An error of the file system in our words."""
    if err.errno in (28, 122):  # ENOSPC, EDQUOT
        return NoRoom(f"there is no room left at {place}")
    return Unavailable(f"cannot write below {place}: {err.strerror or err}")
