"""Images of a fabric as users handle them: brought in, passed on, named, removed, and kept while machines need them.

What speaks to registries is imported when it is called for: the daemon starts with a command that waits for it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.image.oci.blobs import BlobStore
from weft.image.progress import Progress
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.image import ImageKind, ImageManifest, ImportedImages, PruneReport, PushedImage
from weft.model.reference import parse_reference

if TYPE_CHECKING:
    from weft.image.oci.importing import Received
    from weft.image.oci.registry import Access
    from weft.image.plan9.importing import ReceivedTar


class Images:
    """The images of a fabric."""

    def __init__(self, shared: Shared, rooms: Rooms) -> None:
        self._shared = shared
        self._rooms = rooms
        self._store = shared.images
        self._blobs = BlobStore(shared.layout.home)
        self._blobs.sweep()

    async def pull(self, reference: str, progress: Progress) -> ImageManifest:
        """Have an image from its registry. Raises NotFound, Invalid, NoRoom, Unavailable."""
        from weft.image.oci.pull import pull_image

        parsed = parse_reference(reference)
        image = await pull_image(parsed, self._store, self._blobs, self._access(), progress)
        self._shared.events.publish("image.added", image.name, f"image {image.name} was pulled")
        return image

    async def push(self, name: str, reference: str | None, progress: Progress) -> PushedImage:
        """Have an image in a registry, under its own name or another. Raises NotFound, Invalid, Unavailable."""
        from weft.image.oci.push import push_image

        image = self._store.get(name)
        if reference is None and "/" not in image.name:
            raise Invalid(f"{image.name!r} does not say which registry to push to", hint="weft image push NAME REF")
        parsed = parse_reference(reference or image.name)
        return await push_image(image, parsed, self._blobs, self._access(), progress)

    async def receive(self, stream: AsyncIterator[bytes], kind: ImageKind | None) -> "Received | ReceivedTar":
        """An archive, whole, before anything of it becomes an image; a plain tar, if it is said to be a Plan 9 root.

        Raises Invalid, NoRoom, Unavailable.
        """
        if kind is ImageKind.PLAN9:
            from weft.image.plan9.importing import receive_root

            return await receive_root(self._blobs, stream)
        from weft.image.oci.importing import receive

        return await receive(self._blobs, stream)

    async def take_in(
        self, received: "Received | ReceivedTar", name: str | None, kind: ImageKind | None, progress: Progress
    ) -> ImportedImages:
        """The images of what was received. Raises Invalid, NoRoom, Unavailable."""
        from weft.image.oci.importing import Received, take_in

        if isinstance(received, Received):
            plan9 = kind is ImageKind.PLAN9
            imported = await take_in(received, name, self._store, self._blobs, progress, plan9=plan9)
        else:
            from weft.image.plan9.importing import take_in_root

            imported = await take_in_root(received, name, self._store, progress)
        for image in imported.images:
            self._shared.events.publish("image.added", image.name, f"image {image.name} was imported")
        return imported

    def export(self, name: str) -> AsyncIterator[bytes]:
        """An archive with an image, as a stream. Raises NotFound, Invalid for an appliance, before it begins."""
        from weft.image.oci.export import plan_archive, write_archive

        image = self._store.get(name)
        members = plan_archive(image, self._blobs)
        return write_archive(members, self._blobs, list(_blobs_of(image)))

    async def tag(self, name: str, new: str) -> ImageManifest:
        """Give an image another name as well. Raises NotFound, Invalid, Exists."""
        image = await asyncio.to_thread(self._store.tag, name, new)
        self._shared.events.publish("image.added", image.name, f"image {image.name} is another name of {name}")
        return image

    def users(self, image: ImageManifest) -> list[str]:
        """The machines of all rooms that boot this image, by whatever name they were given it."""
        return self._rooms.machines_that(lambda machine: self._boots(machine.spec.image) == image.name)

    def remove(self, reference: str) -> None:
        """Remove an image. Raises NotFound, WrongState while a machine uses it."""
        try:
            image = self._store.get(reference)
        except Invalid:
            if not self._store.has(reference):
                raise
            self._drop(reference)  # its record is damaged: there is nothing to ask it
            return
        if users := self.users(image):
            raise WrongState(f"image {image.name!r} is used by {', '.join(users)}", hint="remove these machines first")
        self._drop(image.name)

    def prune(self, *, unused: bool) -> PruneReport:
        """Remove blobs that no image needs; with `unused`, first the OCI images that no machine boots."""
        images = self._store.list()
        idle = [image for image in images if image.oci is not None and not self.users(image)] if unused else []
        freed = sum(image.size for image in idle)
        for image in idle:
            self._drop(image.name)
        needed = [digest for image in self._store.list() for digest in _blobs_of(image)]
        blobs, size = self._blobs.prune(needed)
        return PruneReport(images=tuple(image.name for image in idle), blobs=blobs, freed=freed + size)

    def _drop(self, name: str) -> None:
        self._store.remove(name)
        for room in self._rooms:
            room.templates.prune()
        self._shared.events.publish("image.removed", name, f"image {name} removed")

    def _boots(self, reference: str) -> str | None:
        try:
            return self._store.get(reference).name
        except (NotFound, Invalid):
            return None

    def _access(self) -> "Access":
        from weft.image.oci.registry import Access

        settings = self._shared.settings
        return Access(settings.insecure_registries, settings.registry_ca, os.environ, Path.home())


def _blobs_of(image: ImageManifest) -> tuple[str, ...]:
    return (image.oci.manifest, image.oci.config, *image.oci.layers) if image.oci else ()
