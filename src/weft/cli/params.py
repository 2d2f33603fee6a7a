"""Types of arguments: what people write, what it means, and what the shell may complete it to."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from weft.model.errors import WeftError

if TYPE_CHECKING:
    from weft.client import Client

    ParamType = click.ParamType[Any]
else:
    # Generic for type checkers only: older releases of click cannot be subscripted.
    ParamType = click.ParamType

_COMPLETION_TIMEOUT = 1.0


class Parsed(ParamType):
    """Text that one of the model's `parse_` functions reads; what it objects to names the option."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except WeftError as err:
            self.fail(str(err), param, ctx)


class ParsedFile(Parsed):
    """The same of what is a file, which the shell may look for; before a path may be a name with `=`."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class Named(ParamType):
    """The name of something in the fabric; the daemon, if it runs, says which there are."""

    def __init__(self, name: str, find_names: "Callable[[Client], Iterable[str]]") -> None:
        self.name = name
        self._find_names = find_names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from weft.client import Client

        try:
            root = ctx.find_root().params
            client = Client(root.get("home"), room=root.get("room"), start=False, timeout=_COMPLETION_TIMEOUT)
            names = list(self._find_names(client))
        except (WeftError, OSError):
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Mount(Parsed):
    """What is mounted where; the part before the first colon may be a volume's name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if ":" in incomplete:
            return []
        return [CompletionItem(f"{item.value}:") for item in VOLUME.shell_complete(ctx, param, incomplete)]


class Nic(Parsed):
    """A NIC; the part before the first comma is a network's name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [] if "," in incomplete else NETWORK.shell_complete(ctx, param, incomplete)


def _parse_size(text: str) -> int:
    from weft.model.units import parse_size

    return parse_size(text)


def _parse_duration(text: str) -> float:
    from weft.model.units import parse_duration

    return parse_duration(text)


def _parse_moment(text: str) -> float:
    from weft.model.units import parse_moment

    return parse_moment(text, time.time())


def _find_machines(client: "Client") -> list[dict[str, Any]]:
    """All but the copies that pools keep, which are nobody yet."""
    return [view for view in client.machines(all=True) if view.get("state") != "pooled"]


def _names(views: Iterable[dict[str, Any]]) -> list[str]:
    return [str(view["name"]) for view in views]


SIZE = Parsed("size", _parse_size)
DURATION = Parsed("duration", _parse_duration)
MOMENT = Parsed("time", _parse_moment)
ROOM = Named("room", lambda client: _names(client.rooms()))
MACHINE = Named("machine", lambda client: _names(_find_machines(client)))
ELASTIC = Named("machine", lambda client: _names(view for view in client.machines() if view.get("elastic")))
FORKABLE = Named("machine", lambda client: [*_names(client.machines()), *map("room:{}".format, _names(client.rooms()))])
PORT = Named("port", lambda client: (str(port["port"]) for port in client.ports()))
NETWORK = Named("network", lambda client: _names(client.networks()))
IMAGE = Named("image", lambda client: _names(client.images()))
KERNEL = Named("kernel", lambda client: _names(client.kernels()))
POOL = Named("image", lambda client: (str(view["image"]) for view in client.pools()))
TEMPLATE = Named("template", lambda client: (str(view["key"]) for view in client.templates()))
SNAPSHOT = Named("snapshot", lambda client: _names(client.snapshots()))
VOLUME = Named("volume", lambda client: _names(client.volumes()))
INSERT = Named("insert", lambda client: _names(client.inserts()))
