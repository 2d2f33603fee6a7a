"""The blob store: whole or in part, never wrong, and what is held stays."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.oci.blobs import BlobStore, digest_of, open_partial, verify
from weft.image.oci.manifest import Descriptor
from weft.model.errors import Invalid, NoRoom, NotFound

DATA = b"some content" * 100
BLOB = Descriptor(digest=digest_of(DATA), size=len(DATA))


def test_small_blobs(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert not store.has(BLOB)
    assert store.add(DATA) == store.add(DATA) == BLOB.digest
    assert store.has(BLOB)
    assert store.read(BLOB.digest) == DATA
    assert store.path(BLOB.digest) == tmp_path / "blobs" / "sha256" / BLOB.digest[7:]
    with pytest.raises(NotFound):
        store.read("sha256:" + "0" * 64)
    with pytest.raises(Invalid, match="and not 1"):
        store.has(BLOB.model_copy(update={"size": 1}))


@pytest.mark.parametrize("digest", ["", "sha256:../../x", "sha256:" + "A" * 64, "md5:" + "0" * 32, BLOB.digest + "\n"])
def test_digests_lead_nowhere_else(tmp_path: Path, digest: str) -> None:
    with pytest.raises(Invalid):
        BlobStore(tmp_path).path(digest)


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 8))
def test_pieces_and_a_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], cut: int) -> None:
    store = BlobStore(tmp_path_factory.mktemp("blobs"))
    data = b"".join(pieces)
    blob = Descriptor(digest=digest_of(data), size=len(data))
    with open_partial(store, blob) as partial:
        for piece in pieces[:cut]:
            partial.write(piece)
    assert not store.has(blob)
    with open_partial(store, blob) as partial:
        partial.resume()
        assert partial.size == sum(map(len, pieces[:cut]))
        for piece in pieces[cut:]:
            partial.write(piece)
        assert partial.is_whole
        assert partial.finish()
    assert store.read(blob.digest) == data
    assert not list((store.folder / "partial").iterdir())


def test_other_content_is_not_kept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    for data in (b"x" * len(DATA), DATA[:-1]):
        with open_partial(store, BLOB) as partial:
            partial.write(data)
            assert not partial.finish()
    with open_partial(store, BLOB) as partial, pytest.raises(Invalid, match="longer than"):
        partial.write(DATA + b"x")
    assert not [path for path in store.folder.rglob("*") if path.is_file()]


def test_sha512(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = Descriptor(digest=f"sha512:{hashlib.sha512(DATA).hexdigest()}", size=len(DATA))
    with open_partial(store, blob) as partial:
        partial.write(DATA)
        assert partial.finish()
    assert verify(store.read(blob.digest), blob.digest, "x") == DATA
    with pytest.raises(Invalid):
        verify(b"other", blob.digest, "x")


def test_prune_leaves_what_is_needed_or_held(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    needed, held, idle = store.add(b"needed"), store.add(b"held"), store.add(b"idle")
    for blob in (BLOB, Descriptor(digest=digest_of(b"part"), size=4)):
        with open_partial(store, blob) as partial:
            partial.write(b"p")
    with store.hold([held, BLOB.digest]), store.hold([held]):
        assert store.prune([needed]) == (2, 5)
    assert not store.path(idle).exists()
    assert store.partial_path(BLOB.digest).exists()
    assert store.prune([needed]) == (2, 5)
    assert store.path(needed).exists()
    assert store.prune([]) == (1, 6)


def test_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match="MiB are free"):
        BlobStore(tmp_path).check_room(1 << 60)


async def test_one_at_a_time(tmp_path: Path) -> None:
    store, inside, most = BlobStore(tmp_path), 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with store.locked(BLOB.digest):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(5)))
    assert most == 1


def test_drafts_are_swept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    draft = store.make_draft()
    store.sweep()
    assert not draft.exists()
    with store.open_draft() as draft:
        assert draft.is_dir()
    assert not draft.exists()
