"""Images of a fabric as users handle them: named, removed, and kept while machines need them."""

from weft.fabric.site import Site
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.image import ImageManifest


class Images:
    """The images of a fabric."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._store = site.images

    def users(self, image: ImageManifest) -> list[str]:
        """The machines that boot this image, by whatever name they were given it."""
        return [
            machine.name for machine in self._site.shelves.machines if self._boots(machine.spec.image) == image.name
        ]

    def remove(self, reference: str) -> None:
        """Remove an image. Raises NotFound, WrongState while a machine uses it."""
        try:
            image = self._store.get(reference)
        except Invalid:
            if not self._store.has(reference):
                raise
            self._store.remove(reference)  # its record is damaged: there is nothing to ask it
            return
        if users := self.users(image):
            raise WrongState(f"image {image.name!r} is used by {', '.join(users)}", hint="remove these machines first")
        self._store.remove(image.name)

    def _boots(self, reference: str) -> str | None:
        try:
            return self._store.get(reference).name
        except (NotFound, Invalid):
            return None
