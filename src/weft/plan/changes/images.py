"""Images that have to be there before anything boots them: built from recipes, or fetched. Pure."""

from collections.abc import Iterator

from weft.model.fabric_file import FabricFile, InsertFile
from weft.model.machine_file import MachineFile
from weft.model.reference import names_registry
from weft.model.steps import Kind, Verb
from weft.plan.changes.draft import Draft
from weft.plan.changes.settle import full_name
from weft.plan.changes.work import Wishes
from weft.plan.fabric_file.knowledge import Knowledge

Part = MachineFile | InsertFile


def add_images(file: FabricFile, known: Knowledge, wishes: Wishes, draft: Draft) -> dict[str, str]:
    """The steps that make images; their keys, by the names that the file has for images."""
    steps: dict[str, str] = {}
    made: dict[str, str] = {}
    for part in _find_parts(file):
        name = part.image_name
        verb, why = _want(part, known, wishes)
        if not name or verb is None or name in steps:
            continue
        full = name if verb is Verb.BUILD else full_name(name)
        if full not in made:
            made[full] = draft.add("", Kind.IMAGE, full, verb, why=(why,), recipe=part.build)
        steps[name] = made[full]
    return steps


def _find_parts(file: FabricFile) -> Iterator[Part]:
    for room in file.rooms.values():
        yield from room.machines.values()
        yield from room.inserts.values()


def _want(part: Part, known: Knowledge, wishes: Wishes) -> tuple[Verb | None, str]:
    """What has to be done for an image, and why. One that is to be fetched always is when that is asked for."""
    is_here = known.find_image(part.image_name) is not None if part.image_name else True
    if part.build:
        if wishes.build or not is_here:
            return (
                Verb.BUILD,
                f"from {part.build}, as was asked for" if is_here else f"it is not here: from {part.build}",
            )
        return None, ""
    if getattr(part, "pull", "missing") == "never" or not names_registry(part.image_name):
        return None, ""
    if wishes.pull or not is_here:
        return Verb.PULL, "as was asked for" if is_here else "it is not here"
    return None, ""
