"""The routes of the host as methods."""

from weft.client.transport import Json, Transport


class HostRoutes(Transport):
    """The computer that machines run on."""

    def host(self) -> Json:
        """What is promised, granted and used of it, by room and machine, and who has lent what to whom."""
        return self._ask_object("GET", "/v1/host")
