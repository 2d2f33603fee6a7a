"""The API's routes as methods. Views are the API's JSON objects, as dictionaries; model/ says what is in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from weft.client.configs import ConfigRoutes
from weft.client.fabric_files import FabricFileRoutes
from weft.client.firewalls import FirewallRoutes
from weft.client.forks import ForkRoutes
from weft.client.host import HostRoutes
from weft.client.http import Answer, Disconnected
from weft.client.metrics import MetricRoutes
from weft.client.pools import PoolRoutes
from weft.client.rooms import RoomRoutes
from weft.client.scaling import ScalingRoutes
from weft.client.snapshots import SnapshotRoutes
from weft.client.templates import TemplateRoutes
from weft.client.transport import SILENCE, WORK_TIMEOUT, Json, Progress, quote_image, quote_name

if TYPE_CHECKING:
    from weft.client.session import ByteSession, ConsoleSession, ExecSession


class Client(
    ConfigRoutes,
    RoomRoutes,
    PoolRoutes,
    FabricFileRoutes,
    FirewallRoutes,
    ForkRoutes,
    MetricRoutes,
    TemplateRoutes,
    SnapshotRoutes,
    ScalingRoutes,
    HostRoutes,
):
    """One fabric's API. Every call is a connection of its own, so one client may be used from several threads.

    `home` is the fabric's folder; None means what WEFT_HOME or the user's default says. `room` is whose machines,
    networks and so on this is about; None means what WEFT_ROOM says, or `default`. With `start`, the first call that
    finds no daemon starts one. Every method may raise any WeftError that the API answers, and Unavailable.
    """

    # The fabric

    def version(self) -> Json:
        """Version of the daemon and the API, and the daemon's pid, home and accelerator."""
        return self._ask_object("GET", "/v1/version")

    def doctor(self) -> list[Json]:
        """What this host has and lacks: name, ok, detail, hint, package."""
        return self._ask_list("GET", "/v1/doctor")

    def shutdown(self, *, machines: bool = False) -> None:
        """Asks the daemon to end; machines and wiring stay unless `machines`."""
        self._ask("POST", "/v1/shutdown", body={"machines": machines})

    def events(
        self,
        *,
        since: int | None = None,
        follow: bool = False,
        after: float | None = None,
        until: float | None = None,
        kinds: Sequence[str] = (),
        machines: Sequence[str] = (),
        all_rooms: bool = False,
    ) -> Iterator[Json]:
        """What happened, here or in all rooms: id, time, kind, subject, text, room. With `follow`, goes on as things
        happen, until `until`.

        `since` is an event's id, `after` and `until` are seconds since the epoch; `kinds` are like `machine.ready` or
        `machine`.
        """
        from weft.client.events import parse_events

        query = {"since": since, "follow": follow, "after": after, "until": until, "kind": kinds, "machine": machines}
        query |= {"all_rooms": all_rooms or None}
        with self._open_stream("/v1/events", query) as answer:
            yield from parse_events(answer.lines())

    # Machines

    def machines(self, *, all: bool = False, filters: Sequence[str] = (), all_rooms: bool = False) -> list[Json]:
        """The live machines; with `all`, every one there is. Each of `filters` is like `label=tier=front`."""
        query = {"all": all, "filter": list(filters) or None, "all_rooms": all_rooms or None}
        return self._ask_list("GET", "/v1/machines", query=query)

    def machine(self, name: str) -> Json:
        """One machine's view."""
        return self._ask_object("GET", _machine(name))

    def create_machine(
        self,
        spec: Mapping[str, Any],
        *,
        start: bool = True,
        wait: bool = True,
        healthy: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> Json:
        """Makes a machine. `wait`: answers when its agent is ready, or fails with the end of its serial log. `healthy`:
        answers when its health check has passed, or fails if that says that it is unhealthy. `settings`: what an
        appliance is to begin with.
        """
        body: dict[str, Any] = {"spec": dict(spec), "start": start, "wait": wait}
        body |= ({"healthy": True} if healthy else {}) | ({"settings": dict(settings)} if settings else {})
        return self._ask_object("POST", "/v1/machines", body=body, timeout=WORK_TIMEOUT)

    def update_machine(
        self, name: str, changes: Mapping[str, Any], *, restart: bool = False, wait: bool = True, plan: bool = False
    ) -> Json:
        """Changes parts of a machine's spec: machine, live, restart. `plan`: says what it would do, no more."""
        body = {"changes": dict(changes), "restart": restart, "wait": wait, "plan": plan}
        return self._ask_object("PATCH", _machine(name), body=body, timeout=WORK_TIMEOUT)

    def remove_machine(self, name: str, *, force: bool = False) -> None:
        """Removes a machine that is not live; with `force`, stops it first."""
        self._ask("DELETE", _machine(name), query={"force": force}, timeout=WORK_TIMEOUT)

    def start_machine(self, name: str, *, wait: bool = True, failsafe: bool = False) -> Json:
        """Starts it; `wait`: until its agent is ready. `failsafe`: without its floppy, which stays as it is."""
        if failsafe:
            body = {"wait": wait, "failsafe": True}
            return self._ask_object("POST", f"{_machine(name)}/start", body=body, timeout=WORK_TIMEOUT)
        return self._act(name, "start", wait)

    def stop_machine(self, name: str, *, wait: bool = True, timeout: float | None = None) -> Json:
        """Asks the guest to power off; kills it after `timeout` seconds."""
        return self._act(name, "stop", wait, timeout)

    def restart_machine(self, name: str, *, wait: bool = True, timeout: float | None = None) -> Json:
        """Stops and starts it, its chain staying as it is."""
        return self._act(name, "restart", wait, timeout)

    def kill_machine(self, name: str, *, wait: bool = True) -> Json:
        """Ends its QEMU at once."""
        return self._act(name, "kill", wait)

    def wait_machine(self, name: str) -> Json:
        """Waits until the machine is no longer live, however long that takes; its last view.

        Survives a daemon that goes away and comes back.
        """
        while True:
            try:
                view = self._ask_object("GET", f"{_machine(name)}/wait", timeout=2 * SILENCE)
            except Disconnected:
                view = self.machine(name)
            if not is_live(view):
                return view

    def open_logs(
        self,
        name: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
    ) -> Answer:
        """The serial log, as a stream to be closed; with `follow`, it goes on until the machine ends.

        `since` and `until` are seconds since the epoch, right to half a second.
        """
        query = {"follow": follow, "tail": tail, "since": since, "until": until, "timestamps": timestamps or None}
        return self._open_stream(f"{_machine(name)}/logs", query)

    def open_sniff(
        self,
        name: str,
        *,
        nic: int = 0,
        gateway: bool = False,
        filter: str | None = None,
        count: int | None = None,
        seconds: float | None = None,
        format: str = "pcapng",
        mode: str = "inline",
    ) -> Answer:
        """Slips a sniffer in front of a port and streams what it sees; closing the answer ejects it.

        With `gateway`, in front of the gateway of the network of this name.
        """
        where = f"/v1/networks/{quote_name(name)}" if gateway else _machine(name)
        query = {"filter": filter, "count": count, "seconds": seconds, "format": format, "mode": mode}
        query |= {} if gateway else {"nic": nic}
        return self._open_stream(f"{where}/sniff", query, timeout=WORK_TIMEOUT)

    def open_exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
        tty: tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> "AbstractContextManager[ExecSession]":
        """Runs a program in the machine. `tty` is rows and columns of a terminal for it; `stdin`: input will come."""
        from weft.client.session import open_exec

        request = {
            "argv": list(argv),
            "env": dict(env or {}),
            "cwd": cwd,
            "user": user,
            "tty": list(tty) if tty else None,
            "stdin": stdin,
        }
        return open_exec(self._connect(self._timeout), self._locate(f"{_machine(name)}/exec"), request)

    def start_exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> int:
        """Starts a program that nobody listens to and that lives on by itself; its pid in the machine."""
        from weft.client.session import open_exec

        request = {"argv": list(argv), "env": dict(env or {}), "cwd": cwd, "user": user, "detach": True}
        with open_exec(self._connect(self._timeout), self._locate(f"{_machine(name)}/exec"), request) as session:
            return session.wait_started()

    def open_console(self, name: str) -> "AbstractContextManager[ConsoleSession]":
        """The machine's serial console, both ways."""
        from weft.client.session import open_console

        return open_console(self._connect(self._timeout), self._locate(f"{_machine(name)}/console"))

    def open_display(self, name: str) -> "AbstractContextManager[ByteSession]":
        """The machine's screen, keyboard and mouse, by RFB."""
        from weft.client.session import open_display

        return open_display(self._connect(self._timeout), self._locate(f"{_machine(name)}/display"))

    def stats(self, machines: Sequence[str] = ()) -> list[Json]:
        """What machines use now: these, or all that run. Shares of a processor come from two answers."""
        return self._ask_list("GET", "/v1/stats", query={"machine": list(machines)})

    def history(self, name: str, *, since: float | None = None, until: float | None = None) -> Json:
        """What the machine used between two times, seconds since the epoch; in the last hour if none are given."""
        return self._ask_object("GET", f"{_machine(name)}/history", query={"since": since, "until": until})

    def processes(self, name: str) -> list[Json]:
        """What runs in the machine."""
        return self._ask_list("GET", f"{_machine(name)}/processes")

    def file(self, name: str, path: str) -> Json:
        """What a file in the machine is: kind, size, mode, owner, where a link leads."""
        return self._ask_object("GET", f"{_machine(name)}/file", query={"path": path})

    def open_archive(self, name: str, path: str) -> Answer:
        """A tar of a file or folder of the machine, as a stream to be closed; `/.` at the end: of what is in it."""
        return self._open_stream(f"{_machine(name)}/archive", {"path": path})

    def send_archive(self, name: str, path: str, pieces: Iterable[bytes]) -> None:
        """Unpacks a tar, that comes in pieces, into a folder of the machine."""
        self._put(f"{_machine(name)}/archive", {"path": path}, pieces)

    # Networks

    def networks(self, *, all_rooms: bool = False) -> list[Json]:
        """Every network with its members."""
        return self._ask_list("GET", "/v1/networks", query={"all_rooms": all_rooms or None})

    def network(self, name: str) -> Json:
        """One network's view."""
        return self._ask_object("GET", f"/v1/networks/{quote_name(name)}")

    def create_network(self, spec: Mapping[str, Any]) -> Json:
        """Makes a network: name, and if wanted subnet, mtu, uplink."""
        return self._ask_object("POST", "/v1/networks", body=dict(spec))

    def remove_network(self, name: str) -> None:
        """Removes a network that no machine is on."""
        self._ask("DELETE", f"/v1/networks/{quote_name(name)}")

    # Inserts

    def inserts(self) -> list[Json]:
        """Every insert there is."""
        return self._ask_list("GET", "/v1/inserts")

    def insert(self, name: str) -> Json:
        """One insert's view."""
        return self._ask_object("GET", f"/v1/inserts/{quote_name(name)}")

    def create_insert(self, spec: Mapping[str, Any], *, wait: bool = True) -> Json:
        """Slips an appliance in front of a machine. `wait`: until frames flow through it."""
        return self._ask_object("POST", "/v1/inserts", body={"spec": dict(spec), "wait": wait}, timeout=WORK_TIMEOUT)

    def change_insert(self, name: str, changes: Mapping[str, Any]) -> Json:
        """Changes an insert's `fail` policy or `lifetime` while it runs."""
        return self._ask_object("PATCH", f"/v1/inserts/{quote_name(name)}", body=dict(changes))

    def eject(self, name: str, *, keep: bool = False, drain: float | None = None) -> None:
        """Takes an insert out; with `keep`, its machine stays, parked, to be inserted again.

        `drain`: seconds that flows which it translates may stay on it; 0 also ends a wait that goes on.
        """
        query, limit = {"keep": keep, "drain": drain}, WORK_TIMEOUT + (drain or 0)
        self._ask("DELETE", f"/v1/inserts/{quote_name(name)}", query=query, timeout=limit)

    def ports(self, machine: str | None = None, *, network: str | None = None) -> list[Json]:
        """Every port with its chain, or those of one machine."""
        return self._ask_list("GET", "/v1/ports", query={"machine": machine, "network": network})

    def trace(
        self, source: str, destination: str, *, probe: bool = True, timeout: float = 2.0, ipv6: bool = False
    ) -> Json:
        """What lies between two places: verdict, why, hops, and what came of a real packet unless `probe` is False."""
        body = {"source": source, "destination": destination, "probe": probe, "timeout": timeout, "ipv6": ipv6}
        return self._ask_object("POST", "/v1/trace", body=body, timeout=WORK_TIMEOUT)

    # Volumes

    def volumes(self) -> list[Json]:
        """Every volume with its users."""
        return self._ask_list("GET", "/v1/volumes")

    def volume(self, name: str) -> Json:
        """One volume's view."""
        return self._ask_object("GET", f"/v1/volumes/{quote_name(name)}")

    def create_volume(self, spec: Mapping[str, Any]) -> Json:
        """Makes a volume: name, and if wanted size in bytes, labels."""
        return self._ask_object("POST", "/v1/volumes", body=dict(spec), timeout=WORK_TIMEOUT)

    def resize_volume(self, name: str, size: int) -> Json:
        """Makes a volume larger that no running machine has."""
        path = f"/v1/volumes/{quote_name(name)}"
        return self._ask_object("PATCH", path, body={"size": size}, timeout=WORK_TIMEOUT)

    def remove_volume(self, name: str) -> None:
        """Removes a volume that no machine uses."""
        self._ask("DELETE", f"/v1/volumes/{quote_name(name)}", timeout=WORK_TIMEOUT)

    def prune_volumes(self) -> list[str]:
        """Removes all volumes that no machine uses; their names."""
        return [str(name) for name in self._ask("POST", "/v1/volumes/prune", timeout=WORK_TIMEOUT) or []]

    # Images and kernels

    def images(self) -> list[Json]:
        """The images that machines can boot."""
        return self._ask_list("GET", "/v1/images")

    def build_image(self, recipe: str, progress: Progress, *, name: str | None = None) -> Json:
        """Builds an image from a recipe's folder or file (absolute), or its name; its manifest."""
        body = {"recipe": recipe} | ({"name": name} if name else {})
        return self._build("/v1/images/build", body, progress)

    def image_schema(self, name: str) -> Json:
        """The settings of an appliance, as a JSON Schema."""
        return self._ask_object("GET", f"/v1/images/{quote_image(name)}/schema")

    def image_sbom(self, name: str) -> Json:
        """What an appliance is made of, as a CycloneDX document."""
        return self._ask_object("GET", f"/v1/images/{quote_image(name)}/sbom")

    def remove_image(self, name: str) -> None:
        """Removes an image."""
        self._ask("DELETE", f"/v1/images/{quote_image(name)}")

    def image(self, name: str) -> Json:
        """One image's manifest, by name or digest."""
        return self._ask_object("GET", f"/v1/images/{quote_image(name)}")

    def tag_image(self, name: str, new: str) -> Json:
        """Gives an image another name; the manifest under it."""
        return self._ask_object("POST", "/v1/images/tag", body={"name": name, "new": new})

    def pull_image(self, reference: str, progress: Progress) -> Json:
        """Has an image from a registry; its manifest."""
        return self._build("/v1/images/pull", {"reference": reference}, progress)

    def push_image(self, name: str, progress: Progress, *, reference: str | None = None) -> Json:
        """Has an image in a registry, under its own name or another; reference and digest there."""
        return self._build("/v1/images/push", {"name": name, "reference": reference}, progress)

    def import_image(
        self, pieces: Iterable[bytes], progress: Progress, *, name: str | None = None, kind: str | None = None
    ) -> list[Json]:
        """Takes the images of an archive: the tar of `docker save` or of an OCI layout, a piece at a time. Of the kind
        `plan9` they are roots of Plan 9 machines, and a plain tar does, too.
        """
        query = {"name": name, "kind": kind}
        images: list[Json] = self._import("/v1/images/import", query, pieces, progress)["images"]
        return images

    def open_export(self, name: str) -> Answer:
        """An archive with an image, as a stream to be closed."""
        answer = self._open("POST", "/v1/images/export", body={"name": name})
        answer.watch_silence(SILENCE, self._check_alive)
        return answer

    def prune_images(self, *, all: bool = False) -> Json:
        """Removes what no image needs; with `all` also OCI images that no machine boots. What that was."""
        return self._ask_object("POST", "/v1/images/prune", body={"all": all}, timeout=WORK_TIMEOUT)

    def kernels(self) -> list[Json]:
        """The kernels that machines can boot."""
        return self._ask_list("GET", "/v1/kernels")

    def build_kernel(self, progress: Progress, *, name: str | None = None, source: str | None = None) -> Json:
        """Builds the machines' kernel, from the distribution's source or a tree of your own."""
        body = {key: value for key, value in (("name", name), ("source", source)) if value is not None}
        return self._build("/v1/kernels/build", body, progress)

    def import_kernel(self, file: str, *, name: str | None = None) -> Json:
        """Takes a vmlinux or bzImage in."""
        body = {"file": file} | ({"name": name} if name else {})
        return self._ask_object("POST", "/v1/kernels/import", body=body, timeout=WORK_TIMEOUT)

    def remove_kernel(self, name: str) -> None:
        """Removes a kernel."""
        self._ask("DELETE", f"/v1/kernels/{quote_name(name)}")

    def _act(self, name: str, verb: str, wait: bool, timeout: float | None = None) -> Json:
        body = {"wait": wait} | ({} if timeout is None else {"timeout": timeout})
        limit = WORK_TIMEOUT + (timeout or 0)
        return self._ask_object("POST", f"{_machine(name)}/{verb}", body=body, timeout=limit)


def is_live(view: Mapping[str, Any]) -> bool:
    """Whether a QEMU belongs to the machine of this view: the same states as model.machine.State.is_live."""
    return view.get("state") in ("starting", "running", "stopping")


def _machine(name: str) -> str:
    return f"/v1/machines/{quote_name(name)}"
