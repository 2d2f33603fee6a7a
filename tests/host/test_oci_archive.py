"""Archives: what docker save and skopeo write goes in, and what comes out goes into skopeo and umoci."""

import asyncio
import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.host.registries import CONFIG, Sample, busybox_layers, digest, make_layer, make_sample, skopeo

from weft.image.oci.blobs import BlobStore
from weft.image.oci.export import plan_archive, write_archive
from weft.image.oci.importing import receive, take_in
from weft.image.progress import ignore_progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageManifest

pytestmark = pytest.mark.host

NAME = "h.example/team/busybox:1"


class Shop:
    """A store of its own."""

    def __init__(self, home: Path) -> None:
        self.blobs, self.images = BlobStore(home), ImageStore(home)

    async def take(self, data: bytes, name: str | None = None, *, piece: int = 100_000) -> list[ImageManifest]:
        received = await receive(self.blobs, cut(data, piece))
        imported = await take_in(received, name, self.images, self.blobs, ignore_progress)
        return list(imported.images)

    async def export(self, image: ImageManifest) -> bytes:
        members = plan_archive(image, self.blobs)
        return b"".join([piece async for piece in write_archive(members, self.blobs, [])])

    @property
    def leftovers(self) -> list[str]:
        return [path.name for path in self.blobs.folder.glob("draft/*")]


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def layout_tar(sample: Sample, folder: Path, name: str = NAME) -> bytes:
    layout = sample.write_layout(folder / "layout", name)
    return subprocess.run(["tar", "-cC", layout, "."], stdout=subprocess.PIPE, check=True).stdout


def docker_archive(sample: Sample, folder: Path, name: str = NAME) -> Path:
    layout, file = sample.write_layout(folder / "layout"), folder / "docker.tar"
    skopeo("copy", f"oci:{layout}:latest", f"docker-archive:{file}:{name}")
    return file


def list_root(image: ImageManifest, shop: Shop) -> set[str]:
    command = ["rdsquashfs", "--describe", str(shop.images.root_path(image))]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("packed", [False, True])
async def test_a_docker_archive(tmp_path: Path, shop: Shop, packed: bool) -> None:
    data = docker_archive(make_sample(busybox_layers()), tmp_path).read_bytes()
    [image] = await shop.take(gzip.compress(data, 1) if packed else data)
    assert image.name == NAME
    assert (image.entry.entrypoint, image.entry.argv) == (("/bin/busybox",), ("echo", "hello"))
    assert {"bin/busybox", "etc/greeting"} <= list_root(image, shop)
    assert shop.leftovers == []


@pytest.mark.parametrize("kind", ["gzip", "zstd", "tar"])
async def test_a_layout(tmp_path: Path, shop: Shop, kind: str) -> None:
    sample = make_sample(busybox_layers(), kind=kind)
    [image] = await shop.take(layout_tar(sample, tmp_path), piece=777)
    assert image.name == NAME
    assert image.oci and image.oci.manifest == sample.digest
    assert {"bin/busybox", "etc/greeting"} <= list_root(image, shop)


async def test_names(tmp_path: Path, shop: Shop) -> None:
    data = layout_tar(make_sample(busybox_layers()), tmp_path, "latest")
    with pytest.raises(Invalid, match="does not say what its image is called"):
        await shop.take(data)
    assert shop.leftovers == []
    [image] = await shop.take(data, "box")
    [again] = await shop.take(data, "other:2")
    assert [image.name, again.name] == ["box", "docker.io/library/other:2"]
    assert shop.images.root_path(image).samefile(shop.images.root_path(again))


async def test_several_images_and_several_names(tmp_path: Path, shop: Shop) -> None:
    first, second = make_sample(busybox_layers()), make_sample([make_layer({"x": b"x"})])
    plain = {digest(layer): layer for layer in [*busybox_layers(), make_layer({"x": b"x"})]}
    data = saved_archive([(first, ["one:1", "uno:1"]), (second, ["two"])], plain)
    images = await shop.take(data)
    names = ["docker.io/library/one:1", "docker.io/library/uno:1", "docker.io/library/two:latest"]
    assert [image.name for image in images] == names
    with pytest.raises(Invalid, match="has 2 images"):
        await shop.take(data, "name")


def saved_archive(images: list[tuple[Sample, list[str]]], layers: dict[str, bytes], **changes: bytes) -> bytes:
    """As old `docker save` wrote it: folders with a layer.tar, a link for the second of one content."""
    files: dict[str, bytes | str] = {}
    saved = []
    for sample, names in images:
        config = next(data for data in sample.blobs.values() if data.startswith(b'{"architecture'))
        ids = json.loads(config)["rootfs"]["diff_ids"]
        paths = []
        for number, key in enumerate(ids):
            paths.append(f"{len(files)}/layer.tar")
            before = next((path for path, content in files.items() if content == layers[key]), None)
            files[paths[-1]] = f"../{before}" if before else changes.get(f"layer{number}", layers[key])
        files[f"{digest(config)[7:]}.json"] = config
        saved.append({"Config": f"{digest(config)[7:]}.json", "RepoTags": names, "Layers": paths})
    files["manifest.json"] = json.dumps(saved).encode()
    return make_tar(files)


def make_tar(files: dict[str, bytes | str]) -> bytes:
    """Bytes are files, text is where a link leads."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_a_layer_that_is_a_link(shop: Shop) -> None:
    layer = make_layer({"x": b"x"})
    sample = make_sample([layer, layer])
    [image] = await shop.take(saved_archive([(sample, ["one"])], {digest(layer): layer}))
    assert image.oci and image.oci.layers == (digest(layer),) * 2


def whole(**changes: bytes | str | None) -> dict[str, bytes | str]:
    sample = make_sample(busybox_layers())
    index = {"schemaVersion": 2, "manifests": [{"digest": sample.digest, "size": len(sample.manifest)}]}
    blobs = {f"blobs/sha256/{key[7:]}": data for key, data in {**sample.blobs, sample.digest: sample.manifest}.items()}
    files = {"oci-layout": b"{}", "index.json": json.dumps(index).encode(), **blobs, **changes}
    return {name: content for name, content in files.items() if content is not None}


HOSTILE: list[tuple[Any, str]] = [
    (b"", "no tar archive"),
    (b"x" * 5000, "no tar archive"),
    (make_tar({"x": b"x"}), "neither an index.json nor a manifest.json"),
    (make_tar(whole())[:300_000], "cut off"),
    (make_tar(whole(**{"index.json": b"{"})), "not JSON"),
    (make_tar({"oci-layout": b"{}", "index.json": "index.json"}), "neither"),
    (make_tar({"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}), "no ../../etc/passwd"),
    (make_tar({"manifest.json": b"[]"}), "has 0 images"),
    (make_tar({"manifest.json": b"[" * 100_000}), "not JSON"),
]


@pytest.mark.parametrize(("data", "message"), HOSTILE)
async def test_what_is_refused(shop: Shop, data: bytes, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        await shop.take(data, "x")
    assert message in str(caught.value)
    assert shop.leftovers == []
    assert shop.images.list() == []


async def test_files_that_are_not_what_their_names_say(shop: Shop) -> None:
    blobs = [name for name in whole() if name.startswith("blobs/")]
    for name in blobs:
        with pytest.raises(Invalid, match="does not have the digest"):
            await shop.take(make_tar(whole(**{name: b"other"})), "x")
        with pytest.raises(Invalid, match="has no blobs/sha256"):
            await shop.take(make_tar(whole(**{name: None})), "x")
    layers = {digest(layer): layer for layer in busybox_layers()}
    data = saved_archive([(make_sample(busybox_layers()), ["x"])], layers, layer1=make_layer({"evil": b""}))
    with pytest.raises(Invalid, match="a layer of the archive does not have the digest"):
        await shop.take(data)


async def test_a_header_that_is_too_long(shop: Shop) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(Invalid, match="has a header of"):
        await shop.take(entry.tobuf(tarfile.USTAR_FORMAT if entry.size < 8**11 else tarfile.GNU_FORMAT), "x")


async def test_a_stream_that_breaks_leaves_nothing(shop: Shop) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield make_tar(whole())[:300_000]
        raise Invalid("the line broke")

    with pytest.raises(Invalid, match="the line broke"):
        await receive(shop.blobs, broken())
    assert shop.leftovers == []


async def test_out_and_in_again(tmp_path: Path, shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    [image] = await shop.take(layout_tar(sample, tmp_path))
    data = await shop.export(image)
    assert data == await shop.export(image)
    other = Shop(tmp_path / "other")
    [back] = await other.take(data)
    assert (back.name, back.digest, back.oci) == (image.name, image.digest, image.oci)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "tar"])
async def test_skopeo_takes_it_both_ways(tmp_path: Path, shop: Shop, kind: str) -> None:
    [image] = await shop.take(layout_tar(make_sample(busybox_layers(), kind=kind), tmp_path))
    file = tmp_path / "out.tar"
    file.write_bytes(await shop.export(image))
    for source in (f"oci-archive:{file}", f"docker-archive:{file}"):
        seen = json.loads(skopeo("inspect", "--config", source))
        assert seen["config"]["Entrypoint"] == CONFIG["Entrypoint"]
        target = tmp_path / source.partition(":")[0]
        skopeo("copy", source, f"dir:{target}")
        assert (target / "manifest.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="umoci unpacks as root")
def test_umoci_unpacks_what_came_out(tmp_path: Path, shop: Shop) -> None:
    data = asyncio.run(there_and_back(shop, layout_tar(make_sample(busybox_layers()), tmp_path)))
    layout = tmp_path / "out"
    layout.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", layout], input=data, check=True)
    (layout / "manifest.json").unlink()
    index = json.loads((layout / "index.json").read_text())
    tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    subprocess.run(
        ["umoci", "unpack", "--image", f"{layout}:{tag}", tmp_path / "bundle"], check=True, capture_output=True
    )
    assert (tmp_path / "bundle" / "rootfs" / "etc" / "greeting").read_bytes() == b"hello\n"


async def there_and_back(shop: Shop, data: bytes) -> bytes:
    [image] = await shop.take(data)
    return await shop.export(image)
