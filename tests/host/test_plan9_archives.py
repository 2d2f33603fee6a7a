"""Plan 9 roots that come as OCI images: those that say so, and those of which the user does."""

import io
import tarfile
from pathlib import Path

import pytest
from tests.host.registries import make_layer, make_sample
from tests.host.test_oci_archive import Shop, cut, docker_archive, layout_tar

from weft.image.oci.importing import Received, take_in
from weft.image.plan9.importing import receive_root
from weft.image.progress import ignore_progress
from weft.model.errors import Invalid
from weft.model.image import ImageKind, ImageManifest
from weft.ninep.pack import ROOT, Pack, Packed

pytestmark = pytest.mark.host

LAYERS = [make_layer({"386/bin/rc": b"first", "lib/old": b"x"}), make_layer({"386/bin/rc": b"rc", "lib/.wh.old": b""})]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def read_root(shop: Shop, image: ImageManifest) -> dict[str, bytes]:
    def walk(folder: Packed, path: str) -> None:
        for number in folder.children:
            child = pack.entry(number)
            if child.is_dir:
                walk(child, f"{path}{child.name}/")
            else:
                found[path + child.name] = pack.read(child, 0, child.size)

    found: dict[str, bytes] = {}
    with shop.images.root_path(image).open("rb") as file:
        pack = Pack(file.fileno())
        walk(pack.entry(ROOT), "")
        pack.close()
    return found


@pytest.mark.parametrize("architecture", ["amd64", "386", "arm64"])
async def test_an_image_that_says_it_is_for_plan_9(tmp_path: Path, shop: Shop, architecture: str) -> None:
    sample = make_sample(LAYERS, os="plan9", architecture=architecture)
    [image] = await shop.take(layout_tar(sample, tmp_path))
    assert (image.kind, image.root_type, image.memory) == (ImageKind.PLAN9, "p9", 64 << 20)
    assert read_root(shop, image) == {"386/bin/rc": b"rc"}
    assert image.oci is not None
    assert shop.leftovers == []
    [same] = await shop.take(layout_tar(sample, tmp_path / "again"), "other")
    assert shop.images.root_path(same).samefile(shop.images.root_path(image))
    with tarfile.open(fileobj=io.BytesIO(await shop.export(image))) as tar:
        assert "oci-layout" in tar.getnames()


async def test_an_image_of_which_the_user_says_it(tmp_path: Path, shop: Shop) -> None:
    data = docker_archive(make_sample(LAYERS), tmp_path, "h.example/plan9:1").read_bytes()
    received = await receive_root(shop.blobs, cut(data, 10_000))
    assert isinstance(received, Received)
    imported = await take_in(received, None, shop.images, shop.blobs, ignore_progress, plan9=True)
    (image,) = imported.images
    assert (image.name, image.kind) == ("h.example/plan9:1", ImageKind.PLAN9)
    assert read_root(shop, image) == {"386/bin/rc": b"rc"}
    [linux] = await shop.take(data, "linux")
    assert (linux.kind, linux.root_type) == (ImageKind.OCI, "squashfs")
    assert shop.leftovers == []


async def test_a_plain_tar_is_taken_only_for_what_it_is_said_to_be(shop: Shop) -> None:
    with pytest.raises(Invalid) as caught:
        await shop.take(LAYERS[0], "root")
    assert "--kind plan9" in str(caught.value)
