"""Images as a fabric's machines use them: names of machines, what may be removed."""

from pathlib import Path

import pytest
from tests.unit.paper_fabric import open_paper_fabric

from weft.fabric.fabric import Fabric
from weft.fabric.records.machine import MachineRecord
from weft.image.store import ImageStore
from weft.model.errors import NotFound, WrongState
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec

NGINX = "docker.io/library/nginx:latest"


def keep(store: ImageStore, name: str, content: bytes = b"root") -> ImageManifest:
    base = store.get("base").model_copy(update={"name": name})
    with store.open_draft() as draft:
        (draft / "root").write_bytes(content)
        return store.add(base, draft / "root")


async def record(fabric: Fabric, name: str, image: str) -> None:
    spec = MachineSpec(name=name, image=image)
    await fabric.default.site.shelves.machines.save(
        MachineRecord(spec=spec, slot=9, uuid="u", created=1.0, kernel="default", memory=64 << 20, nics=())
    )


async def test_machines_are_named_after_the_last_part(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path) as fabric:
        image = keep(fabric.default.site.images, NGINX)
        assert fabric.default.machines.choose_name("base") == "base-1"
        for reference in ("nginx", NGINX, image.digest[7:20]):
            assert fabric.default.machines.choose_name(reference) == "nginx-1"
        await record(fabric, "nginx-1", "nginx")
        assert fabric.default.machines.choose_name("nginx") == "nginx-2"
        with pytest.raises(NotFound):
            fabric.default.machines.choose_name("nothing")


async def test_a_machine_remembers_the_full_name(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path) as fabric:
        image = keep(fabric.default.site.images, NGINX)
        by_name = await fabric.default.machines.create(MachineSpec(name="a", image="nginx", nics=()))
        by_digest = await fabric.default.machines.create(MachineSpec(name="b", image=image.digest, nics=()))
        assert (by_name.spec.image, by_digest.spec.image) == (NGINX, image.digest)


@pytest.mark.parametrize("used_by", ["nginx", NGINX, "sha256"])
async def test_a_used_image_stays_by_whatever_name(tmp_path: Path, used_by: str) -> None:
    async with open_paper_fabric(tmp_path) as fabric:
        image = keep(fabric.default.site.images, NGINX)
        await record(fabric, "web", image.digest if used_by == "sha256" else used_by)
        for name in ("nginx", NGINX, image.digest):
            with pytest.raises(WrongState, match="is used by web"):
                fabric.images.remove(name)
        fabric.default.site.images.tag("nginx", "spare")
        fabric.images.remove("spare")
        assert fabric.default.site.images.find(NGINX)


async def test_a_damaged_image_can_be_removed(tmp_path: Path) -> None:
    async with open_paper_fabric(tmp_path) as fabric:
        keep(fabric.default.site.images, NGINX)
        next(fabric.default.site.images.folder.glob("docker*/image.json")).write_text("{")
        fabric.images.remove(NGINX)
        with pytest.raises(NotFound):
            fabric.images.remove(NGINX)
