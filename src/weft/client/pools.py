"""The routes of pools as methods."""

from collections.abc import Mapping
from typing import Any

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_image


class PoolRoutes(Transport):
    """Copies of images that are kept ready."""

    def pools(self) -> list[Json]:
        """Every pool: image, size, ready, memory, cpus, reason."""
        return self._ask_list("GET", "/v1/pools")

    def pool(self, image: str) -> Json:
        """The pool of an image."""
        return self._ask_object("GET", f"/v1/pools/{quote_image(image)}")

    def set_pool(self, spec: Mapping[str, Any], *, wait: bool = True) -> Json:
        """Makes or changes a pool: image, size, and if wanted memory in bytes and cpus. `wait`: until it is full."""
        return self._ask_object("POST", "/v1/pools", query={"wait": wait}, body=dict(spec), timeout=WORK_TIMEOUT)

    def remove_pool(self, image: str) -> None:
        """Takes the pool of an image away; its copies end."""
        self._ask("DELETE", f"/v1/pools/{quote_image(image)}", timeout=WORK_TIMEOUT)
