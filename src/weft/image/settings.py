"""An appliance's settings on its floppy: `settings.toml`, and the last revisions in `history/`."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from weft.image.floppy import Draft, Floppy, open_change, open_floppy
from weft.model.errors import Invalid, NotFound, WeftError
from weft.model.floppy import FloppyFile
from weft.model.schema import SettingsSchema
from weft.plan.settings import Fit
from weft.plan.settings_file import Document, Stamp, dump_document, dump_revision, parse_document

FILE = "settings.toml"
HISTORY = "history"
KEPT = 20
_REVISION = re.compile(rf"{HISTORY}/(\d{{4,9}})\.toml")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a floppy says. `damage`: what is wrong with it; the document is then that of a new floppy."""

    document: Document
    damage: str = ""


async def load_saved(path: Path) -> Saved:
    """The settings, or what is wrong with them. Raises Invalid when the whole floppy is damaged."""
    return await read_saved(await open_floppy(path))


async def read_saved(floppy: Floppy) -> Saved:
    """The same of a floppy that is sound."""
    try:
        return Saved(await read_document(floppy))
    except Invalid as err:
        return Saved(Document(), err.message)


async def load_history(path: Path) -> dict[int, Document]:
    """The revisions by number, as far as they can be read. Raises Invalid when the floppy is damaged."""
    return await _read_history(await open_floppy(path))


async def rescue_history(path: Path) -> list[Document]:
    """The revisions that are whole, the newest first, of a floppy whose settings are not, or that is damaged."""
    try:
        history = await _read_history(Floppy(path))
    except WeftError:
        return []
    return [history[number] for number in sorted(history, reverse=True) if history[number].whole]


async def save(path: Path, schema: SettingsSchema, fit: Fit, stamp: Stamp, title: str) -> Stamp:
    """Write a new revision; its number is the one after the last. Everything else on the floppy stays.

    Raises Invalid, NoRoom, Unavailable; the floppy is then as it was.
    """
    async with open_change(path) as draft:
        return await write_revision(draft, schema, fit, stamp, title)


async def write_revision(draft: Draft, schema: SettingsSchema, fit: Fit, stamp: Stamp, title: str) -> Stamp:
    """The same on a draft."""
    there = await draft.list()
    history = _find_history(there)
    stamp = replace(stamp, revision=max([stamp.revision, *history]) + 1, schema=schema.version)
    revision, text = dump_revision(fit, stamp), dump_document(schema, fit, stamp, title)
    await draft.remove(*(history[number] for number in sorted(history)[: -(KEPT - 1)]))
    await draft.write({_history_path(stamp.revision): revision, FILE: text}, there)
    return stamp


async def read_document(floppy: Floppy) -> Document:
    """The settings on a floppy; one without any is factory-new. Raises Invalid for what is damaged."""
    try:
        data = await floppy.read(FILE)
    except NotFound:
        return Document()
    return parse_document(data, FILE)


async def _read_history(floppy: Floppy) -> dict[int, Document]:
    found = {}
    for number, path in _find_history(await floppy.list()).items():
        try:
            found[number] = parse_document(await floppy.read(path), path)
        except (Invalid, NotFound):
            continue
    return found


def is_settings(path: str) -> bool:
    """Whether a file on a floppy is one of those that are written here."""
    return path in (FILE, HISTORY) or _REVISION.fullmatch(path) is not None


def _find_history(files: list[FloppyFile]) -> dict[int, str]:
    """The revisions' files by number."""
    matches = [_REVISION.fullmatch(file.path) for file in files]
    return {int(match[1]): match[0] for match in matches if match}


def _history_path(number: int) -> str:
    return f"{HISTORY}/{number:04d}.toml"
