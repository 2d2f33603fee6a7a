"""Fabric files for tests, and a world that they are checked against."""

from collections.abc import Mapping
from datetime import UTC, datetime

from weft.firewall.model import FirewallModel
from weft.model.errors import NotFound, Unavailable
from weft.model.foreign import Firmware, ForeignSpec
from weft.model.image import BUILT_IN, ImageKind, ImageManifest, ImageNic, NicRole
from weft.model.machine import MachineSpec, Profile
from weft.model.schema import Setting, SettingsSchema
from weft.model.settings_model import SettingsModel

SIDES = (ImageNic(name="eth0", role=NicRole.NETWORK), ImageNic(name="eth1", role=NicRole.MACHINE))


def make_image(name: str, **rest: object) -> ImageManifest:
    """An image that is here, by its name and what is special."""
    plain = {"name": name, "version": "1", "digest": "sha256:" + "0" * 64, "size": 0, "created": CREATED}
    return ImageManifest.model_validate({**plain, **rest})


CREATED = datetime(2026, 1, 1, tzinfo=UTC)
GATE = SettingsSchema(
    settings={
        "lan.mtu": Setting(type="integer", minimum=576, maximum=9216),
        "mode": Setting(choices=("open", "shut"), default="open"),
        "names": Setting(type="list"),
        "key": Setting(type="secret"),
    }
)
RULES = SettingsSchema(settings={name: Setting(type="list") for name in ("rules", "sets")}, model="firewall")
IMAGES = {
    "base": make_image("base"),
    "web": make_image("web"),
    "sniffer": make_image("sniffer", nics=SIDES, wire=True),
    "gate": make_image("gate", settings=GATE),
    "wall": make_image("wall", nics=SIDES, wire=True, settings=GATE, modes=("inline",)),
    "fire": make_image("fire", settings=RULES),
    "rout": make_image("rout", nics=SIDES, wire=True, modes=("routed",)),
    "docker.io/library/nginx:1": make_image("docker.io/library/nginx:1", kind=ImageKind.OCI),
}


class World:
    """A host with a few images, and files that are named by their whole paths."""

    def __init__(self, files: Mapping[str, str] | None = None, memory: int = 4 << 30) -> None:
        self.files = dict(files or {})
        self.memory = memory

    def find_image(self, name: str) -> ImageManifest | None:
        return IMAGES.get(name) or BUILT_IN.get(name)

    def has_kernel(self, name: str) -> bool:
        return name == "default"

    def read_recipe(self, folder: str) -> ImageManifest:
        if folder.startswith("/recipes/"):
            return make_image(folder.rpartition("/")[2], settings=GATE)
        raise NotFound(f"no recipe at {folder}/recipe.toml")

    def read_text(self, path: str) -> str:
        if path not in self.files:
            raise NotFound(f"{path} cannot be read: no such file")
        return self.files[path]

    def check_folder(self, path: str) -> None:
        if path == "/missing":
            raise NotFound(f"no folder {path}")

    def check_media(self, foreign: ForeignSpec) -> None:
        if "/missing" in (*foreign.cdroms, *foreign.writes):
            raise NotFound("there is no /missing")

    def check_firmware(self, spec: MachineSpec) -> None:
        if spec.profile is Profile.PC and spec.foreign is not None and spec.foreign.firmware is Firmware.UEFI:
            raise Unavailable("there is no UEFI firmware for old boards")

    def find_model(self, schema: SettingsSchema) -> SettingsModel | None:
        return FirewallModel() if schema.model == "firewall" else None
