"""The routes of forks as methods."""

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_name


class ForkRoutes(Transport):
    """Copies of machines that run, and of whole rooms."""

    def fork_machine(
        self, name: str, *, count: int = 1, copy: str | None = None, remove: bool = False, shadow: bool = False
    ) -> Json:
        """Makes copies of a machine: machines, failed, and pause, disks and took in seconds.

        `copy` is the name of the first; `remove`: each goes when it ends; `shadow`: on no network, with copies of what
        reaches the machine.
        """
        body = {"count": count, "name": copy, "remove": remove, "shadow": shadow}
        return self._ask_object("POST", f"/v1/machines/{quote_name(name)}/fork", body=body, timeout=WORK_TIMEOUT)

    def fork_room(
        self, name: str, copy: str, *, description: str | None = None, uplink: bool = False, shadow: bool = False
    ) -> Json:
        """Copies a room, with all that is in it, at one instant: room, machines, pauses, disks, left_out, took.

        `uplink`: with the ways out that its networks have; `shadow`: with copies of what comes into the original.
        """
        body = {"name": copy, "description": description, "uplink": uplink, "shadow": shadow}
        return self._ask_object("POST", f"/v1/rooms/{quote_name(name)}/fork", body=body, timeout=WORK_TIMEOUT)
