"""The entry point `weft`: finds the command, runs it, and turns whatever happens into one line and an exit status."""

import os
import sys
from pathlib import Path

import click

from weft.cli.face import Face
from weft.cli.lazy import LazyGroup
from weft.cli.params import ROOM
from weft.cli.report import report_defect, report_error, report_usage
from weft.model.errors import WeftError

SECTIONS: dict[str, dict[str, str]] = {
    "Machines": {
        "run": "weft.cli.run:run",
        "ps": "weft.cli.machines:ps",
        "inspect": "weft.cli.machines:inspect",
        "port": "weft.cli.machines:port",
        "logs": "weft.cli.machines:logs",
        "exec": "weft.cli.sessions:exec_",
        "attach": "weft.cli.attaching:attach",
        "console": "weft.cli.sessions:console",
        "display": "weft.cli.display:display",
        "cp": "weft.cli.copying:cp",
        "top": "weft.cli.insight:top",
        "stats": "weft.cli.insight:stats",
        "stop": "weft.cli.lifecycle:stop",
        "start": "weft.cli.lifecycle:start",
        "restart": "weft.cli.lifecycle:restart",
        "update": "weft.cli.update:update",
        "scale": "weft.cli.scale:scale",
        "elastic": "weft.cli.elastic:elastic",
        "kill": "weft.cli.lifecycle:kill",
        "fork": "weft.cli.forking:fork",
        "rm": "weft.cli.lifecycle:rm",
        "wait": "weft.cli.lifecycle:wait",
    },
    "Snapshots": {
        "snapshot": "weft.cli.snapshots:snapshot",
        "restore": "weft.cli.snapshots:restore",
        "suspend": "weft.cli.snapshots:suspend",
        "resume": "weft.cli.snapshots:resume",
    },
    "Networks and inserts": {
        "network": "weft.cli.networks:network",
        "insert": "weft.cli.inserts:insert",
        "eject": "weft.cli.inserts:eject",
        "policy": "weft.cli.inserts:policy",
        "links": "weft.cli.links:links",
        "sniff": "weft.cli.sniff:sniff",
        "trace": "weft.cli.trace:trace",
    },
    "Fabric files": {
        "up": "weft.cli.up:up",
        "down": "weft.cli.up:down",
        "plan": "weft.cli.fabric_files:plan",
        "diff": "weft.cli.fabric_files:diff",
        "render": "weft.cli.fabric_files:render",
        "export": "weft.cli.fabric_files:export",
    },
    "Appliances": {
        "config": "weft.cli.config:config",
        "reset": "weft.cli.config:reset",
        "floppy": "weft.cli.floppy:floppy",
        "firewall": "weft.cli.firewall:firewall",
    },
    "Start at once": {
        "pool": "weft.cli.pools:pool",
    },
    "Volumes": {
        "volume": "weft.cli.volumes:volume",
    },
    "Files over 9P": {
        "9p": "weft.cli.ninep:ninep",
    },
    "Images, kernels, templates": {
        "image": "weft.cli.images:image",
        "kernel": "weft.cli.kernels:kernel",
        "template": "weft.cli.templates:template",
    },
    "The fabric": {
        "room": "weft.cli.rooms:room",
        "host": "weft.cli.host:host",
        "doctor": "weft.cli.doctor:doctor",
        "events": "weft.cli.fabric:events",
        "metrics": "weft.cli.metrics:metrics",
        "serve": "weft.cli.fabric:serve",
        "shutdown": "weft.cli.fabric:shutdown",
        "version": "weft.cli.fabric:version",
        "completion": "weft.cli.fabric:completion",
    },
}
"""Every command by section of the help, and where it is found when it is called for."""

INTERRUPTED = 130
BROKEN_PIPE = 141


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from weft import __version__

        click.echo(f"weft {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, sections=SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="The fabric's folder. Default: $WEFT_HOME, else /var/lib/weft as root, ~/.local/share/weft as a user.",
)
@click.option("--room", type=ROOM, help="Whose machines and networks it is about. Default: $WEFT_ROOM, else `default`.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def weft(ctx: click.Context, home: Path | None, room: str | None) -> None:
    """Small machines, and a network whose physical structure changes while traffic flows."""
    ctx.obj = Face(home, room)


def run_command(args: list[str]) -> int:
    """Runs one command line; the exit status. Reports every error that a user can be told of."""
    try:
        with weft.make_context("weft", args) as ctx:
            weft.invoke(ctx)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as err:
        return report_usage(err)
    except WeftError as err:
        report_error(err)
        return 1
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; what is still in the buffer must not be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as err:
        report_defect(err)
        return 1


def main() -> None:
    """The console script."""
    if "_WEFT_COMPLETE" in os.environ:
        weft.main(prog_name="weft")
    sys.exit(run_command(sys.argv[1:]))
