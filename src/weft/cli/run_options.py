"""The options of `weft run` that container users know, and the spec that all its options make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.cli.environment import environment_options, read_environment
from weft.cli.limit_options import limit_options, make_limits, take_limits
from weft.cli.nic_options import make_nics
from weft.cli.params import DURATION, Mount, Parsed
from weft.cli.sessions import parse_command
from weft.model.options import (
    parse_expose,
    parse_health,
    parse_label,
    parse_publish,
    parse_restart,
    parse_tmpfs,
    parse_volume,
)
from weft.model.ranges import make_sizes
from weft.model.signals import parse_signal

Command = TypeVar("Command", bound=Callable[..., Any])
_HEALTH = ("interval", "timeout", "start_period", "retries")


def _option(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    return click.option(*names, **attributes)


_OPTIONS = (
    _option("--entrypoint", metavar="PROGRAM", help="Run this in place of the image's entry point and command."),
    _option("-w", "--workdir", "cwd", metavar="DIR", help="The directory its program starts in."),
    _option("-u", "--user", metavar="USER[:GROUP]", help="Whom its program runs as: names or numbers of the image."),
    _option("--hostname", metavar="NAME", help="Its host name. Default: the machine's name."),
    _option("--restart", type=Parsed("policy", parse_restart), metavar="POLICY",
            help="When it is started again: `no`, `on-failure[:N]`, `always`, `unless-stopped`."),
    _option("--label", "labels", multiple=True, type=Parsed("label", parse_label), metavar="KEY[=VALUE]",
            help="A label, for `ps --filter` and for programs."),
    _option("-p", "--publish", multiple=True, type=Parsed("port", parse_publish), metavar="[[IP:]HOST:]PORT[/udp]",
            help="Let a port of the host lead to PORT of the machine; without HOST any that is free."),
    _option("-v", "--volume", "volumes", multiple=True,
            type=Mount("volume", lambda text: parse_volume(text, str(Path.cwd()))), metavar="SRC:DST[:ro]",
            help="Mount a volume, or a folder of the host (a path), at DST."),
    _option("--tmpfs", multiple=True, type=Parsed("tmpfs", parse_tmpfs), metavar="DST[:size=N]",
            help="Mount memory at DST."),
    _option("--read-only", is_flag=True, help="Its root cannot be written to."),
    _option("--stop-signal", type=Parsed("signal", parse_signal), metavar="SIGNAL",
            help="What asks its program to end. Default: as the image says, or SIGTERM."),
    _option("--stop-timeout", type=DURATION, help="Kill it when a stop takes longer. Default: the daemon's."),
    _option("--health-cmd", metavar="COMMAND", help="A command that ends with status 0 while the machine is healthy."),
    _option("--health-interval", type=DURATION, help="Time between two checks."),
    _option("--health-timeout", type=DURATION, help="A check that takes longer has failed."),
    _option("--health-start-period", type=DURATION, help="Failures do not count for so long after the start."),
    _option("--health-retries", type=click.IntRange(min=1), metavar="N",
            help="So many failures in a row make it unhealthy."),
    _option("--no-healthcheck", "no_health", is_flag=True, help="Leave the image's health check out."),
    _option("--cold", is_flag=True, help="Boot it, though there may be a template to go on from."),
    _option("--pxe", is_flag=True,
            help="Boot it from its first network: an image comes whole from there, and stays in memory."),
    _option("--expose", multiple=True, type=Parsed("part", parse_expose), metavar="PART[:ro]",
            help="Let it find a part of the fabric's file tree at its gateway: `machine`, `room` or `fabric`."),
    _option("--floppy", type=click.Path(dir_okay=False), metavar="FILE",
            help="A floppy for an appliance to keep its settings on. Default: one of its own."),
)  # fmt: skip


def container_options(command: Command) -> Command:
    """All of them, in this order; their values are what `make_spec` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return environment_options(limit_options(command))


def make_spec(
    networks: tuple[dict[str, Any], ...],
    command: tuple[str, ...],
    environment: tuple[str, ...],
    env_files: tuple[Path, ...],
    **wanted: Any,
) -> dict[str, Any]:
    """The machine's spec as the API takes it; what was not said is left to the daemon. Raises Invalid."""
    spec: dict[str, Any] = {"command": parse_command(command), "env": read_environment(environment, env_files)}
    nics = make_nics(networks, **{key: wanted.pop(key) for key in ("address", "address6", "mac")})
    if nics is not None:
        spec["nics"] = nics
    if (entrypoint := wanted.pop("entrypoint")) is not None:
        spec["entrypoint"] = [entrypoint] if entrypoint else []
    if health := parse_health(wanted.pop("health_cmd"), **{key: wanted.pop(f"health_{key}") for key in _HEALTH}):
        spec["health"] = health
    spec |= make_sizes(*(wanted.pop(key) for key in ("cpus", "memory", "elastic")))
    spec |= wanted.pop("restart") or {}
    if limits := make_limits(take_limits(wanted)):
        spec["limits"] = limits
    if floppy := wanted.pop("floppy"):
        spec["floppy"] = str(Path.cwd() / floppy)
    return spec | _make_lists(wanted) | {key: value for key, value in wanted.items() if value not in (None, False)}


def _make_lists(wanted: dict[str, Any]) -> dict[str, Any]:
    """What may be said more than once; nothing of what was not said at all."""
    labels, publish = dict(wanted.pop("labels")), list(wanted.pop("publish"))
    mounts = [*wanted.pop("volumes"), *wanted.pop("tmpfs")]
    lists = {"labels": labels, "publish": publish, "mounts": mounts, "expose": list(wanted.pop("expose"))}
    return {key: value for key, value in lists.items() if value}
