"""The stores: whole records or none, replaced and removed at any moment."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.image_samples import PVH_NOTE, make_elf, make_vmlinux

from weft.image.importing import keep_kernel
from weft.image.pack import pack_vmlinux
from weft.image.store import ImageStore, KernelStore, record_digest
from weft.image.vmlinux import Vmlinux
from weft.model.errors import Exists, Invalid, NotFound
from weft.model.image import ImageManifest, KernelInfo


def manifest(name: str = "box") -> ImageManifest:
    return ImageManifest(name=name, version="1", digest="sha256:" + "0" * 64, size=0, created=datetime.now(UTC))


def add(store: ImageStore, content: bytes, name: str = "box") -> ImageManifest:
    store.folder.mkdir(parents=True, exist_ok=True)
    draft = store.folder / f".draft-{threading.get_ident()}"
    draft.write_bytes(content)
    return store.add(manifest(name), draft)


def test_an_empty_home_has_no_images(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "nowhere")
    assert store.list() == []
    assert store.find("box") is None
    with pytest.raises(NotFound, match="no image 'box'"):
        store.get("box")


def test_what_was_added_is_found_by_name_and_digest(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = add(store, b"root")
    assert store.root_path(image).read_bytes() == b"root"
    assert image.digest == record_digest(store.root_path(image))
    assert image.size == 4
    assert store.get("box") == store.get(image.digest) == store.get(image.digest[7:15]) == image
    assert store.list() == [image]
    with pytest.raises(NotFound):
        store.get(image.digest[7:10])


def test_one_file_stays_when_an_image_is_replaced(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    with store.root_path(add(store, b"old")).open("rb") as running:
        image = add(store, b"new")
        assert running.read() == b"old"
    assert store.root_path(image).read_bytes() == b"new"
    assert {path.name for path in (tmp_path / "images" / "box").iterdir()} == {"image.json", image.root_file}


def test_removing(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    add(store, b"root")
    store.remove("box")
    assert store.list() == []
    assert not (tmp_path / "images" / "box").exists()
    with pytest.raises(NotFound):
        store.remove("box")


@pytest.mark.parametrize("name", ["../box", "/etc", "..", "", "."])
def test_names_do_not_leave_the_store(tmp_path: Path, name: str) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "image.json").write_text("{}")
    with pytest.raises(NotFound):
        ImageStore(tmp_path).get(name)
    with pytest.raises(NotFound):
        ImageStore(tmp_path).remove(name)


def test_a_writer_that_died_early_left_nothing_to_see(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    (store.folder / "box").mkdir(parents=True)
    (store.folder / "box" / "root-0123.squashfs").write_bytes(b"half")
    assert store.list() == []
    image = add(store, b"whole")
    assert [path.name for path in (store.folder / "box").glob("root-*")] == [image.root_file]


def test_drafts_of_the_dead_are_swept_and_others_left_alone(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    dead, alive = store.folder / f".draft-{child}-x", store.folder / ".draft-1-x"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
    with store.open_draft() as draft:
        assert not dead.exists()
        assert alive.exists()
        assert store.list() == []
    assert not draft.exists()


def test_a_damaged_record_is_named_and_does_not_hide_others(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    good = add(store, b"good", "good")
    add(store, b"bad", "bad")
    (store.folder / "bad" / "image.json").write_text('{"name": "bad"')
    assert store.list() == [good]
    with pytest.raises(Invalid, match=r"bad/image\.json is damaged"):
        store.get("bad")
    store.remove("bad")


def test_many_writers_leave_a_whole_image(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    contents = [bytes([number]) * 1000 for number in range(8)]
    threads = [threading.Thread(target=add, args=(store, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    image = store.get("box")
    assert store.root_path(image).read_bytes() in contents
    assert record_digest(store.root_path(image)) == image.digest
    assert len(list((store.folder / "box").iterdir())) == 2


def test_two_images_with_one_digest_are_one(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    first, second = add(store, b"same", "one"), add(store, b"same", "two")
    assert store.get(first.digest[:20]).digest == second.digest


async def test_kernels_and_the_default(tmp_path: Path) -> None:
    store = KernelStore(tmp_path)
    with pytest.raises(NotFound, match="weft kernel build"):
        store.default()
    kernel = await keep_kernel(tmp_path, "default", Vmlinux(make_vmlinux(), "6.1"), origin="imported", key="")
    other = await keep_kernel(
        tmp_path, "other", Vmlinux(make_elf(notes=PVH_NOTE, needed=("x",)), "6.2"), origin="built", key="k"
    )
    assert store.default() == kernel
    assert store.vmlinux_path(kernel).read_bytes() == pack_vmlinux(make_vmlinux())
    assert [info.name for info in store.list()] == ["default", "other"]
    assert store.get(other.digest[:16]) == other
    assert not list(store.folder.glob(".draft*"))


NGINX = "docker.io/library/nginx:latest"


def test_references_are_names(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = add(store, b"root", NGINX)
    assert store.root_path(image).read_bytes() == b"root"
    for name in ("nginx", "docker.io/nginx", "library/nginx", NGINX, image.digest):
        assert store.get(name) == image
    label = add(store, b"other", "nginx")
    assert store.get("nginx") == label
    assert store.get("nginx:latest") == image
    assert store.list() == [image, label]
    store.remove("docker.io/nginx")
    assert store.list() == [label]


def test_a_name_is_kept_in_full_or_not_at_all(tmp_path: Path) -> None:
    long = f"host.example/{'/'.join(['part'] * 50)}@sha256:{'0' * 64}"
    store = ImageStore(tmp_path)
    image = add(store, b"long", long)
    assert store.get(long) == image
    assert store.list() == [image]
    assert all(len(path.name) < 256 for path in store.folder.iterdir())
    with pytest.raises(Invalid):
        add(store, b"bad", "Not a name")


def test_a_second_name_shares_the_file(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = add(store, b"root")
    tagged = store.tag(image.digest[7:20], "localhost:5000/box:1")
    assert tagged.name == "localhost:5000/box:1"
    assert store.root_path(tagged).samefile(store.root_path(image))
    with pytest.raises(Exists):
        store.tag("box", "box")
    store.remove("box")
    assert store.root_path(tagged).read_bytes() == b"root"
    assert store.get(image.digest) == tagged


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("base", "weft image build base"),
        ("nginx", "docker.io/library/nginx"),
        ("h.example/a", "image pull h.example/a:latest"),
    ],
)
def test_the_hint_says_where_an_image_would_come_from(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(NotFound) as caught:
        ImageStore(tmp_path).get(name)
    assert hint in str(caught.value)


def test_a_record_that_was_read_is_read_again_when_it_is_another(tmp_path: Path) -> None:
    store = KernelStore(tmp_path)
    path = tmp_path / "kernels" / "own" / "kernel.json"
    path.parent.mkdir(parents=True)
    for release in ("6.1", "6.2"):
        draft = path.with_name("draft")
        info = KernelInfo(
            name="own",
            release=release,
            digest=f"sha256:{'0' * 64}",
            size=1,
            origin="imported",
            created=datetime.now(UTC),
        )
        draft.write_text(info.model_dump_json())
        draft.replace(path)
        assert store.get("own").release == release
        assert store.get("own") is store.get("own")
    path.unlink()
    assert store.find("own") is None
