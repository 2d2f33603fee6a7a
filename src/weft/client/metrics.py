"""The route of metrics as a method."""

from weft.client.transport import Transport


class MetricRoutes(Transport):
    """Numbers of all rooms, whichever our own is."""

    def metrics(self, *, ask: bool = True, format: str = "text") -> bytes:
        """As Prometheus reads them: `text`, its format 0.0.4, or `openmetrics`. `ask`: guests are asked for what only
        they know."""
        with self._open("GET", "/metrics", query={"ask": ask, "format": format}) as answer:
            return answer.read()
