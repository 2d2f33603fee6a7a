"""The routes of templates as methods."""

from collections.abc import Mapping
from typing import Any

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_image


class TemplateRoutes(Transport):
    """Templates that machines of our room may go on from."""

    def templates(self, *, all_rooms: bool = False) -> list[Json]:
        """Every template of the room; with `all_rooms`, those that strict rooms have for themselves, too."""
        return self._ask_list("GET", "/v1/templates", query={"all_rooms": all_rooms or None})

    def template(self, key: str) -> Json:
        """One template's view, by the beginning of its key, or by its image's name if that has one."""
        return self._ask_object("GET", f"/v1/templates/{quote_image(key)}")

    def create_template(self, spec: Mapping[str, Any]) -> Json:
        """Makes a template, unless it is there: image, and if wanted kernel, profile, memory, cpus, nics, floppy."""
        return self._ask_object("POST", "/v1/templates", body=dict(spec), timeout=WORK_TIMEOUT)

    def remove_template(self, key: str) -> None:
        """Removes a template; machines that went on from it run on."""
        self._ask("DELETE", f"/v1/templates/{quote_image(key)}", timeout=WORK_TIMEOUT)

    def prune_templates(self, *, all: bool = False) -> Json:
        """Removes templates that no machine will ever go on from; with `all`, every one. What that was."""
        return self._ask_object("POST", "/v1/templates/prune", body={"all": all}, timeout=WORK_TIMEOUT)
