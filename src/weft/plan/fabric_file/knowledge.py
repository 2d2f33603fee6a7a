"""What checks of a fabric file need to know of the world: who asks gives it to them."""

from typing import Protocol

from weft.model.foreign import ForeignSpec
from weft.model.image import ImageManifest
from weft.model.machine import MachineSpec
from weft.model.schema import SettingsSchema
from weft.model.settings_model import SettingsModel


class Knowledge(Protocol):
    """The host, and what is on it. All may raise a WeftError, which is told where it was met."""

    @property
    def memory(self) -> int:
        """The host's memory in bytes."""
        ...

    def find_image(self, name: str) -> ImageManifest | None:
        """The image of this name, if it is here."""
        ...

    def has_kernel(self, name: str) -> bool:
        """Whether there is a kernel of this name."""
        ...

    def read_recipe(self, folder: str) -> ImageManifest:
        """What an image built from the recipe there would be, as far as that is known. Raises NotFound, Invalid."""
        ...

    def read_text(self, path: str) -> str:
        """The content of a file that is named. Raises NotFound, Invalid."""
        ...

    def check_folder(self, path: str) -> None:
        """Raises Invalid when it is no folder of the host that a machine could have mounted."""
        ...

    def check_media(self, foreign: ForeignSpec) -> None:
        """Raises NotFound, Unavailable, Invalid for a file that no machine could have in a drive."""
        ...

    def check_firmware(self, spec: MachineSpec) -> None:
        """Raises Unavailable when the host lacks what a machine with a system of its own is to boot with."""
        ...

    def find_model(self, schema: SettingsSchema) -> SettingsModel | None:
        """What knows more of settings than their schema. Raises Invalid when it is not known here."""
        ...
