"""Snapshots on their way to other fabrics: a tar of the folder, holes left out, and back."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from weft.fabric.site import Site
from weft.fabric.snapshots.kept import HEAD, KeptSnapshots, read_about
from weft.fabric.snapshots.progress import meter
from weft.host.drafts import Draft, open_draft
from weft.host.sealed import open_sealed, read_head, work_on
from weft.host.sparse_tar import read_tar, write_tar
from weft.image.progress import Progress
from weft.model.errors import Invalid, Unavailable
from weft.model.names import parse_name
from weft.model.snapshot import SnapshotView

SPOOL = "import"
"""The name of the draft that an archive is unpacked in. No two are at work on one: it has a number."""


class Archives:
    """Writes and takes in archives of snapshots."""

    def __init__(self, site: Site, kept: KeptSnapshots) -> None:
        self._site = site
        self._kept = kept
        self._count = 0

    def export(self, name: str) -> AsyncIterator[bytes]:
        """An archive with a snapshot, as a stream. Raises NotFound, Unavailable before it begins."""
        folder = self._kept.path(name)
        pieces = read_head(folder, HEAD).pieces
        return write_tar([(f"{name}/{piece}", folder / piece) for piece in (HEAD, *sorted(pieces))])

    async def receive(self, stream: AsyncIterator[bytes]) -> IO[bytes]:
        """An archive, whole, before anything of it is looked at; it is gone when it is closed. Raises NoRoom."""
        folder = self._site.layout.snapshots
        archive = await work_on(folder, _open_spool, folder)
        try:
            async for piece in stream:
                await work_on(folder, archive.write, piece)
            archive.seek(0)
        except BaseException:
            archive.close()
            raise
        return archive

    async def take_in(self, archive: IO[bytes], name: str | None, progress: Progress) -> SnapshotView:
        """Keep the snapshot of an archive that was received, if every byte of it is as it was.

        Raises Invalid for one that is damaged or none, Exists, NoRoom; nothing of it is kept then.
        """
        self._count += 1
        try:
            spool = self._site.layout.snapshots / f"{SPOOL}.{self._count}"
            async with open_draft(spool, HEAD) as draft:
                progress("unpacking", None)
                found = await work_on(spool, read_tar, archive, draft.folder)
                name = parse_name(name or found, "snapshot")
                with self._kept.reserved(name) as folder:
                    await _look_at(draft, progress)
                    await draft.keep_as(folder)
        finally:
            archive.close()
        self._site.events.publish("snapshot.created", name, f"snapshot {name} was imported")
        return await self._kept.view(name)


async def _look_at(draft: Draft, progress: Progress) -> None:
    """Whether all is there and as it was. Raises Invalid."""
    try:
        sealed = await open_sealed(draft.folder, HEAD)
        read_about(draft.folder, sealed.head)
        tell = meter(progress, "comparing sums", sum(piece.size for piece in sealed.pieces.values()))
        for piece in sealed.pieces:
            await sealed.copy(piece, tell=tell)
    except Unavailable as err:
        raise Invalid(f"the archive is not a whole snapshot: {err.message}", hint=err.hint) from err


def _open_spool(folder: Path) -> IO[bytes]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
