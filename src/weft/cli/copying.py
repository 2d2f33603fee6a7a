"""Copying files between machines and this host."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from weft.cli.face import Face
from weft.cli.params import MACHINE, ParamType
from weft.client.places import Landing, Place, parse_place, plan_landing
from weft.model.errors import Invalid, NotFound, WeftError

if TYPE_CHECKING:
    from weft.client import Client

_BIG = 8 << 20
"""Bytes after which a copy shows how far it is."""
_SHOW_EVERY = 0.1


class _PlaceType(ParamType):
    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return parse_place(value) if isinstance(value, str) else value
        except WeftError as err:
            self.fail(str(err), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        machines = MACHINE.shell_complete(ctx, param, incomplete)
        return [*(CompletionItem(f"{item.value}:") for item in machines), CompletionItem(incomplete, type="file")]


@click.command(short_help="Copy files between a machine and this host.")
@click.option("-a", "--archive", is_flag=True, help="Keep owners; else they are root in a machine, and you here.")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Of a link as SOURCE, copy what it leads to.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("source", type=_PlaceType())
@click.argument("target", type=_PlaceType())
@click.pass_obj
def cp(face: Face, source: Place, target: Place, archive: bool, follow: bool, quiet: bool) -> None:
    """Copy SOURCE to TARGET. One of them, or both, is MACHINE:PATH; `-` is a tar on standard input or output.

    A folder that exists gets a copy with the name of SOURCE in it; SOURCE/. copies what is in a folder. Otherwise
    TARGET is the new name.
    """
    if source.machine is None and target.machine is None:
        raise Invalid("neither side is in a machine", hint="write one as MACHINE:PATH")
    copy = _Copy(face.client(), archive, follow)
    with _Meter(quiet) as meter:
        copy.run(source, target, meter)
    for name in copy.passed_over[:1]:
        rest = f" and {len(copy.passed_over) - 1} more" if len(copy.passed_over) > 1 else ""
        print(f"weft: not copied, since it is a device or a pipe: {name}{rest}", file=sys.stderr)


class _Copy:
    """One copy: who sends and who takes."""

    def __init__(self, client: "Client", owners: bool, follow: bool) -> None:
        self._client = client
        self._owners = owners
        self._follow = follow
        self.passed_over: list[str] = []

    def run(self, source: Place, target: Place, meter: "_Meter") -> None:
        if target.is_stream:
            self._to_stream(source, meter)
        elif source.is_stream:
            self._send(target.machine or "", target.path, meter.watch(_read_input()))
        elif source.machine is None:
            self._from_host(source, target, meter)
        elif target.machine is None:
            self._to_host(source, target, meter)
        else:
            self._between(source, target, meter)

    def _to_stream(self, source: Place, meter: "_Meter") -> None:
        from weft.cli.terminal import write_all

        if sys.stdout.isatty():
            raise Invalid("a tar is not written to a terminal", hint="send it to a file or a program")
        path, _ = self._look(source)
        with self._client.open_archive(source.machine or "", path) as answer:
            for piece in meter.watch(answer.pieces()):
                write_all(1, piece)

    def _from_host(self, source: Place, target: Place, meter: "_Meter") -> None:
        from weft.client.tarring import pack_tree

        path = Path(source.path)
        follow = self._follow or source.wants_folder
        named = Place(None, f"{path.resolve()}/." if source.wants_contents else source.path)
        landing = self._land(named, _is_folder(path, follow), target)
        pieces = pack_tree(path, landing.name or ".", follow=follow, owners=self._owners)
        self._send(target.machine or "", landing.folder, meter.watch(pieces))

    def _to_host(self, source: Place, target: Place, meter: "_Meter") -> None:
        from weft.client.unpacking import Unpacker

        path, folder = self._look(source)
        landing = self._land(source, folder, target)
        if self._owners and os.geteuid() != 0:
            raise Invalid("owners can be kept by root only", hint="leave -a out")
        with ExitStack() as stack:
            root = _open_folder(landing.folder)
            stack.callback(os.close, root)
            answer = stack.enter_context(self._client.open_archive(source.machine or "", path))
            unpacker = Unpacker(root, landing.name, owners=self._owners)
            unpacker.unpack(_Pieces(meter.watch(answer.pieces())))
        self.passed_over = unpacker.passed_over

    def _between(self, source: Place, target: Place, meter: "_Meter") -> None:
        from weft.client.renaming import rename_tree

        path, folder = self._look(source)
        landing = self._land(source, folder, target)
        with self._client.open_archive(source.machine or "", path) as answer:
            pieces = rename_tree(_Pieces(meter.watch(answer.pieces())), landing.name or ".", owners=self._owners)
            self._send(target.machine or "", landing.folder, pieces)

    def _look(self, source: Place) -> tuple[str, bool]:
        """The path to ask for, and whether it is a folder. A link stays one unless it is to be followed."""
        view = self._client.file(source.machine or "", source.path)
        follow = self._follow or source.wants_folder
        kind, path = (view["real_kind"], view["real"]) if follow else (view["kind"], view["path"])
        if path is None:
            raise NotFound(f"{source} is a link that leads nowhere")
        if source.wants_folder and kind != "folder":
            raise NotFound(f"{source} is no folder")
        return (f"{path}/." if source.wants_contents else path), kind == "folder"

    def _land(self, source: Place, folder: bool, target: Place) -> Landing:
        exists, target_folder = _look_here(target) if target.machine is None else self._look_there(target)
        return plan_landing(source, folder=folder, target=target, exists=exists, target_folder=target_folder)

    def _look_there(self, target: Place) -> tuple[bool, bool]:
        try:
            view = self._client.file(target.machine or "", target.path)
        except NotFound:
            self._client.machine(target.machine or "")  # is it the machine that is not there?
            return False, False
        return True, view["real_kind"] == "folder"

    def _send(self, machine: str, folder: str, pieces: Iterable[bytes]) -> None:
        self._client.send_archive(machine, folder, pieces)


class _Meter:
    """Counts what goes by, and shows it on a terminal when it becomes much."""

    def __init__(self, quiet: bool) -> None:
        self._shows = not quiet and sys.stderr.isatty()
        self._stack = ExitStack()
        self._show: Callable[[str, float | None], None] | None = None
        self._done = 0
        self._shown = 0.0

    def __enter__(self) -> "_Meter":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._count(len(piece))

    def _count(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if not self._shows or self._done < _BIG or now - self._shown < _SHOW_EVERY:
            return
        self._shown = now
        if self._show is None:
            from weft.cli.progress import open_progress

            self._show = self._stack.enter_context(open_progress("copying"))
        self._show(f"{self._done / (1 << 20):.0f} MiB", None)


class _Pieces:
    """Pieces of a stream as something to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            self._rest = next(self._pieces, b"")
            if not self._rest:
                return b""
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _read_input() -> Iterator[bytes]:
    while piece := os.read(0, 1 << 18):
        yield piece


def _look_here(target: Place) -> tuple[bool, bool]:
    path = Path(target.path)
    return os.path.lexists(path), path.is_dir()


def _is_folder(path: Path, follow: bool) -> bool:
    try:
        found = path.stat() if follow else path.lstat()
    except OSError as err:
        raise NotFound(f"{path} cannot be read: {err.strerror}") from err
    return stat.S_ISDIR(found.st_mode)


def _open_folder(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        raise NotFound(f"folder {path}: {err.strerror}") from err
