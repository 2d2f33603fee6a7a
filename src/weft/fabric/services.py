"""An appliance's services, as its init is told of them."""

from weft.guest.config import GuestService
from weft.model.image import ImageManifest, Service


def guest_services(image: ImageManifest) -> tuple[GuestService, ...]:
    """All services of an image, in the image's order."""
    return tuple(map(_guest_service, image.services))


def _guest_service(service: Service) -> GuestService:
    return GuestService(
        name=service.name,
        argv=service.argv,
        env=service.env,
        cwd=service.cwd,
        user=service.user,
        restart=service.restart.value,
        after=service.after,
        once=service.once,
    )
