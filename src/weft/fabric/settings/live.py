"""Settings of a machine that runs: told to it, applied by its own program, and asked for. The guest is not trusted.

What is done in the machine is done by the builtins of its init, so an image needs no tools.
"""

import asyncio
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from weft.fabric.settings.models import Terms
from weft.guest.agent import Agent
from weft.guest.config import GuestFile
from weft.guest.streams import ExecStream
from weft.model.errors import Invalid, NotFound, Unavailable, WrongState
from weft.model.schema import SettingsSchema
from weft.plan.settings import Values, dump_shell, has_secrets
from weft.plan.settings_file import MOST_BYTES

FOLDER = PurePosixPath("/run/weft")
JSON_FILE, SHELL_FILE = FOLDER / "settings.json", FOLDER / "settings.env"
APPLY_SECONDS = 30.0
"""How long an appliance may take to apply its settings, or to refuse them."""
_ANSWER_SECONDS = 10.0
_MOST_OUTPUT = 64 * 1024
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program in a machine ended, and what it said."""

    status: int
    output: bytes
    errors: str


async def put_settings(agent: Agent, terms: Terms, values: Values) -> None:
    """Tell a machine its settings, and where it stands. Raises Unavailable when it cannot take them."""
    await _do(agent, ["tar-extract", str(FOLDER)], pack_files(settings_files(terms, values)))


async def put_hostname(agent: Agent, hostname: str) -> None:
    """Give a machine a host name. Raises Unavailable when it cannot take it."""
    await _do(agent, ["hostname", hostname])


async def _do(agent: Agent, argv: Sequence[str], input: bytes | None = None) -> None:
    done = await _run(agent, argv, input, builtin=True)
    if done.status:
        raise Unavailable(f"the machine does not take its settings: {_last_line(done)}")


async def apply_settings(agent: Agent, schema: SettingsSchema, effective: Values) -> None:
    """Have the appliance's program apply settings that it was told. Raises Invalid with its reason to refuse them."""
    if not schema.apply:
        return
    try:
        done = await _run(agent, schema.apply, dump_json(effective), seconds=APPLY_SECONDS)
    except NotFound as err:
        raise Invalid(f"the appliance's program {schema.apply[0]} cannot be run: {err.message}") from err
    if done.status:
        raise Invalid(f"the appliance refuses: {_last_line(done)}")


async def read_settings(agent: Agent) -> dict[str, Any]:
    """What a machine says its settings are: what it was told, or what a program in it has made of that.

    Raises Unavailable when it does not say so, Invalid when it says something else.
    """
    done = await _run(agent, ["tar-create", str(FOLDER), JSON_FILE.name], builtin=True)
    data = None if done.status else find_content(done.output)
    if data is None:
        raise Unavailable(f"the machine has no {JSON_FILE}", hint="a restart tells it its settings again")
    return parse_running(data)


def parse_running(data: bytes) -> dict[str, Any]:
    """Settings as a machine tells them. Raises Invalid."""
    try:
        found = json.loads(data) if len(data) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"what the machine says in {JSON_FILE} are no settings")
    return found


def dump_json(effective: Values) -> bytes:
    """The settings as `apply` reads them."""
    return json.dumps(dict(effective), indent=1).encode() + b"\n"


def settings_files(terms: Terms, values: Values) -> tuple[GuestFile, ...]:
    """The files in which programs of a machine find its settings, what a model makes of them, and its place.

    Where some are secret, only root may read them.
    """
    mode, effective = 0o600 if has_secrets(terms.schema) else 0o644, terms.effective(values)
    texts = {JSON_FILE.name: dump_json(effective).decode(), SHELL_FILE.name: dump_shell(effective)}
    texts = {**terms.files(values), **texts}
    return tuple(GuestFile(str(FOLDER / name), text, mode) for name, text in texts.items())


def pack_files(files: Sequence[GuestFile]) -> bytes:
    """An archive of files of one folder, without tarfile's padding: an emulated machine is slow to read."""
    packed = b""
    for file in files:
        data, member = file.content.encode(), tarfile.TarInfo(PurePosixPath(file.path).name)
        member.size, member.mode = len(data), file.mode
        packed += member.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _BLOCK)
    return packed + bytes(2 * _BLOCK)


def find_content(archive: bytes) -> bytes | None:
    """The first file in an archive that a machine made; None when there is none. It may be anything but an archive."""
    at = 0
    while at + _BLOCK <= len(archive):
        size, kind = archive[at + 124 : at + 135].strip(b"\0 "), archive[at + 156 : at + 157]
        if not size.isdigit() or b"8" in size or b"9" in size:
            return None
        end = at + _BLOCK + int(size, 8)
        if kind == b"0":
            return archive[at + _BLOCK : end] if end <= len(archive) else None
        at = end + -end % _BLOCK
    return None


async def _run(
    agent: Agent,
    argv: Sequence[str],
    input: bytes | None = None,
    *,
    builtin: bool = False,
    seconds: float = _ANSWER_SECONDS,
) -> Ended:
    try:
        async with asyncio.timeout(seconds):
            async with await agent.exec(argv, stdin=input is not None, builtin=builtin) as process:
                return await _talk(process, input)
    except TimeoutError as err:
        raise Unavailable(f"{argv[0]} in the machine did not end within {seconds:g} s") from err


async def _talk(process: ExecStream, input: bytes | None) -> Ended:
    feeding = asyncio.create_task(_feed(process, input))
    try:
        outputs = {"stdout": b"", "stderr": b""}
        async for name, data in process:
            outputs[name] = (outputs[name] + data)[:_MOST_OUTPUT]
        status = await process.wait()
    finally:
        feeding.cancel()
    return Ended(status.shell_code, outputs["stdout"], outputs["stderr"].decode(errors="replace"))


async def _feed(process: ExecStream, input: bytes | None) -> None:
    """A program that ends without reading what it is told is judged by its status."""
    try:
        if input is not None:
            await process.write(input)
            process.close_stdin()
    except WrongState:
        pass


def _last_line(done: Ended) -> str:
    lines = [line.strip() for line in done.errors.splitlines() if line.strip()]
    return "".join(char for char in lines[-1] if char.isprintable())[:500] if lines else f"status {done.status}"
