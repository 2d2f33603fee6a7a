"""Moments in folders: saved whole or not at all, and loaded as they were saved or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from weft.fabric.moments.moment import Moment, Shape
from weft.host.blocks import Tell, say_nothing
from weft.host.drafts import Draft, open_draft
from weft.host.memory import create_memory, seal_memory
from weft.host.sealed import Sealed, open_sealed
from weft.model.errors import NoRoom, Unavailable

HEAD = "moment.json"
MEMORY, DEVICE = "memory", "device"
SHAPE = "shape"


async def save_moment(moment: Moment, folder: Path, *, tell: Tell = say_nothing) -> None:
    """Save a moment; what is zero of its memory takes no room. Raises NoRoom, Unavailable; nothing is left then."""
    async with open_draft(folder, HEAD) as draft:
        await add_moment(draft, moment, tell=tell)
        await draft.seal(about_moment(moment))


async def load_moment(folder: Path, *, tell: Tell = say_nothing) -> Moment:
    """A moment that was saved, its memory sealed. Raises Unavailable when anything of it is damaged, NoRoom."""
    sealed = await open_sealed(folder, HEAD)
    return await read_moment(sealed, tell=tell)


async def add_moment(draft: Draft, moment: Moment, *, tell: Tell = say_nothing) -> None:
    """Put a moment into a folder that has more than that."""
    await draft.copy(MEMORY, moment.memory, os.fstat(moment.memory).st_size, tell=tell)
    await draft.put(DEVICE, moment.device)


def about_moment(moment: Moment) -> dict[str, object]:
    """What a folder's head has to say of the moment in it."""
    return {SHAPE: moment.shape.model_dump(mode="json")}


def read_shape(sealed: Sealed) -> Shape:
    """What a machine has to be like to go on from the moment. Raises Unavailable."""
    try:
        return Shape.model_validate(sealed.about.get(SHAPE))
    except ValidationError as err:
        raise Unavailable(f"{sealed.folder} is of a version of Weft that this one does not know") from err


async def read_moment(sealed: Sealed, *, tell: Tell = say_nothing) -> Moment:
    """The moment in a folder, which may have more than that. Raises as `load_moment`."""
    shape = read_shape(sealed)
    if not {MEMORY, DEVICE} <= sealed.pieces.keys():
        raise Unavailable(f"{sealed.folder} has no moment in it")
    device = await sealed.read(DEVICE)
    size = sealed.pieces[MEMORY].size
    try:
        memory = create_memory(size)
    except OSError as err:
        raise NoRoom(f"no memory for {size >> 20} MB: {err.strerror}") from err
    try:
        await sealed.copy(MEMORY, memory, tell=tell)
        seal_memory(memory)
    except BaseException:
        with suppress(OSError):
            os.close(memory)
        raise
    return Moment(shape, memory, device)
