"""Running a machine: in the background, or in the foreground like a program."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.foreign_options import foreign_options, take_foreign
from weft.cli.nic_options import network_options
from weft.cli.params import IMAGE, KERNEL
from weft.cli.printing import print_json
from weft.cli.run_options import container_options, make_spec
from weft.cli.setting_options import read_settings, settings_options
from weft.cli.size_options import size_options
from weft.cli.statuses import find_status
from weft.model.errors import WrongState

if TYPE_CHECKING:
    from weft.client import Client

_REST = {"allow_interspersed_args": False}
_STOP_GRACE = 10.0


@click.command(context_settings=_REST, short_help="Make a machine and start it.")
@click.option("-d", "--detach", is_flag=True, help="Return when it is ready, and print its name.")
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input on to its program.")
@click.option("-t", "--tty", is_flag=True, help="Its program has our terminal; Ctrl-P Ctrl-Q detaches.")
@click.option("--wait-healthy", is_flag=True, help="With -d: return when its health check has passed.")
@click.option("--rm", "remove", is_flag=True, help="Remove it when it ends.")
@click.option("--name", help="Its name. Default: made up.")
@network_options
@size_options(
    memory="Default: what the image says.",
    cpus="Default: 1.",
    profile="Default: microvm, or q35 where its size may change.",
)
@click.option("--kernel", type=KERNEL, metavar="KERNEL|FILE",
              help="Its kernel, or a file, whose path has a slash. Default: the default kernel.")  # fmt: skip
@click.option("--pull", type=click.Choice(["missing", "always", "never"]), default="missing", show_default=True,
              help="When to fetch IMAGE; what is missing is only fetched if it begins with a registry.")  # fmt: skip
@container_options
@foreign_options
@settings_options
@wait_option
@format_option
@click.argument("image", type=IMAGE, required=False)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_obj
def run(
    face: Face,
    /,
    detach: bool,
    interactive: bool,
    tty: bool,
    remove: bool,
    wait: bool,
    wait_healthy: bool,
    output: str,
    **wanted: Any,
) -> None:
    """Make a machine from IMAGE and start it, with COMMAND in place of the image's own.

    COMMAND follows the image's entry point if it has one, as with containers; --entrypoint takes the place of both.
    In the foreground (without -d) its log is printed as it comes, the exit status is that of the entry point, and
    Ctrl-C stops the machine. With -i and -t its program has our input and our terminal instead, as with `weft attach`;
    Ctrl-C is the program's then. Options come before IMAGE. An IMAGE such as
    docker.io/library/nginx is pulled.

    A machine brings its own system if IMAGE is plan9 or foreign, which need not be there, or is left out.

    With a range of CPUs or of memory the machine is elastic: it starts with the least, and `weft scale` changes that
    while it runs.
    """
    policy = wanted.pop("pull")
    settings = read_settings(wanted.pop("values"), wanted.pop("settings_file"))
    foreign = take_foreign(wanted)
    if wanted["image"] is None:
        raise click.UsageError("Missing argument 'IMAGE'.", click.get_current_context())
    spec = make_spec(**wanted) | ({"foreign": foreign} if foreign else {})
    if remove and spec.get("restart", "never") != "never":
        raise click.UsageError("--rm and --restart contradict each other", click.get_current_context())
    have_image(face.client(), spec["image"], policy)
    _have_kernel(face.client(), spec)
    if not detach:
        visit = _find_visit(interactive, tty)
        raise click.exceptions.Exit(_run_foreground(face.client(), spec, settings, remove, visit))
    if remove:
        spec["remove"] = True
    view = face.client().create_machine(spec, wait=wait, healthy=wait_healthy, settings=settings)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


def have_image(client: "Client", reference: str, policy: str) -> None:
    """Pulls an image that names its registry and is not here; `policy`: missing, always, never."""
    if policy == "never" or (policy == "missing" and "/" not in reference):
        return
    from weft.cli.transfers import pull_image
    from weft.model.errors import NotFound
    from weft.model.reference import names_registry

    if policy == "missing":
        try:
            client.image(reference)
            return
        except NotFound:
            if not names_registry(reference):
                raise
    pull_image(client, reference)


def _have_kernel(client: "Client", spec: dict[str, Any]) -> None:
    """Takes the kernel that is given by its file; the spec has its name then."""
    if "/" in (spec.get("kernel") or ""):
        from weft.cli.kernel_files import take_kernel

        spec["kernel"] = take_kernel(client, Path(spec["kernel"]))


def _find_visit(interactive: bool, tty: bool) -> bool | None:
    """Whether its program gets input when it is attached to; None: its log is all that is wanted."""
    return interactive if interactive or (tty and sys.stdout.isatty()) else None


def _run_foreground(
    client: "Client", spec: dict[str, Any], settings: dict[str, Any], remove: bool, visit: bool | None
) -> int:
    """Prints the log, or attaches, until the machine has ended; its entry point's status."""
    with _open_termination():
        name = client.create_machine(spec, wait=False, settings=settings)["name"]
        try:
            if visit is None:
                _print_log(client, name)
            elif not _attach(client, name, visit):
                remove = False
                return 0
            view = client.wait_machine(name)
        except (KeyboardInterrupt, click.exceptions.Exit):
            _stop(client, name, spec.get("stop_timeout", _STOP_GRACE))
            raise
        finally:
            if remove:
                client.remove_machine(name, force=True)
    return find_status(view)


def _attach(client: "Client", name: str, stdin: bool) -> bool:
    """Until the machine has ended; False when somebody detached from it."""
    from weft.cli.attaching import Attached

    attached = Attached(client, name, stdin=stdin)
    try:
        attached.visit()
    except WrongState:  # it has ended already: what it said is in its log
        _print_log(client, name)
    return not attached.detached


def _print_log(client: "Client", name: str) -> None:
    """The whole log until the machine ends; goes on where it was if the daemon is replaced meanwhile."""
    from weft.cli.terminal import write_all
    from weft.client.client import is_live
    from weft.client.http import Disconnected

    tail: int | None = None
    while True:
        try:
            with client.open_logs(name, follow=True, tail=tail) as answer:
                for piece in answer.pieces():
                    write_all(1, piece)
            return
        except Disconnected:
            if not is_live(client.machine(name)):
                return
            tail = 0


def _stop(client: "Client", name: str, grace: float) -> None:
    """Stops politely; a second Ctrl-C while that lasts ends the machine at once."""
    print(f"weft: stopping {name}", file=sys.stderr)
    try:
        client.stop_machine(name, timeout=grace)
    except KeyboardInterrupt:
        client.kill_machine(name)


@contextmanager
def _open_termination() -> Iterator[None]:
    """While the context lasts, a SIGTERM or a lost terminal ends the machine too, as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
