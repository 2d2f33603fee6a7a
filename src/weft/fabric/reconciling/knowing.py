"""What checks of a fabric file may know of this host."""

from pathlib import Path

from weft.fabric.foreign.firmware import check_firmware
from weft.fabric.foreign.media import check_media
from weft.fabric.settings.models import find_model
from weft.fabric.shared import Shared
from weft.host.file_server import check_folder
from weft.image.build import preview_image
from weft.model.errors import Invalid, NotFound
from weft.model.foreign import ForeignSpec
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec
from weft.model.schema import SettingsSchema
from weft.model.settings_model import SettingsModel

MAX_TEXT = 1 << 20
"""Bytes of a file that is named in another; beyond it something else was meant."""


class HostKnowledge:
    """The host's memory, images, kernels and files, as `weft.plan.fabric_file` asks for them. It changes nothing."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def memory(self) -> int:
        return self._shared.facts.memory_bytes

    def find_image(self, name: str) -> ImageManifest | None:
        try:
            return self._shared.images.get(name)
        except NotFound:
            return None

    def has_kernel(self, name: str) -> bool:
        try:
            return bool(self._shared.kernels.get(name))
        except NotFound:
            return False

    def read_recipe(self, folder: str) -> ImageManifest:
        return preview_image(Path(folder))

    def read_text(self, path: str) -> str:
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_TEXT + 1)
        except OSError as err:
            raise NotFound(f"{path} cannot be read: {err.strerror}") from err
        if len(data) > MAX_TEXT:
            raise Invalid(f"{path} is larger than {MAX_TEXT >> 20} MiB")
        try:
            return data.decode()
        except UnicodeDecodeError as err:
            raise Invalid(f"{path} is not a text in UTF-8") from err

    def check_folder(self, path: str) -> None:
        check_folder(Path(path))
        if Path(path).resolve().is_relative_to(self._shared.layout.home.resolve()):
            raise Invalid(f"{path} is the fabric's own: no machine may have it")

    def check_media(self, foreign: ForeignSpec) -> None:
        check_media(self._shared.layout.home, foreign)

    def check_firmware(self, spec: MachineSpec) -> None:
        check_firmware(self._shared.facts, spec)

    def find_model(self, schema: SettingsSchema) -> SettingsModel | None:
        return find_model(schema)
