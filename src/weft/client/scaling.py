"""The routes of elastic machines' sizes as methods."""

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_name


class ScalingRoutes(Transport):
    """How much machines have, and how much they can."""

    def scale_machine(
        self,
        name: str,
        *,
        cpus: int | None = None,
        memory: int | None = None,
        add_cpus: int | None = None,
        add_memory: int | None = None,
        wait: bool = True,
        by: str = "weft scale",
    ) -> Json:
        """Gives a machine so many processors, or so many bytes of memory; with `wait`, when that has an outcome.

        `add_`: so much more, or less.
        """
        wanted = {"cpus": cpus, "memory": memory, "add_cpus": add_cpus, "add_memory": add_memory}
        body = {key: value for key, value in wanted.items() if value is not None} | {"wait": wait, "by": by}
        return self._ask_object("POST", f"/v1/machines/{quote_name(name)}/scale", body=body, timeout=WORK_TIMEOUT)

    def elastic(self, name: str, *, patience: float = 0.0) -> Json:
        """How elastic a machine is, and what it has now; `patience`: seconds to wait until nothing is on its way."""
        query = {"patience": patience} if patience else None
        path = f"/v1/machines/{quote_name(name)}/elastic"
        return self._ask_object("GET", path, query=query, timeout=WORK_TIMEOUT)

    def elastic_account(self, name: str) -> Json:
        """What a machine's policy did last and why, and what it waits for; `text`: in words."""
        return self._ask_object("GET", f"/v1/machines/{quote_name(name)}/elastic/account")
