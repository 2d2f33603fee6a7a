"""From the text of a fabric file to rooms. Pure.

What does not fit is left out and told, so that what is right is there for the checks that come after: somebody who has
made five mistakes is told of five.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from weft.model.fabric_file import FabricFile
from weft.model.file_words import FOLDER
from weft.model.problem import Problem
from weft.plan.fabric_file.places import Finding, Path, place_findings
from weft.plan.fabric_file.shape import Error, find_shape_fault
from weft.plan.fabric_file.tree import BadYaml, Mark, Node, read_tree

_GONE: Any = object()
_ROUNDS = 20
"""How often what does not fit is left out. What is below something that does not fit is seen in the next round."""


@dataclass(slots=True)
class Reading:
    """What a text came to. `spoiled` are the paths of what was left out; checks say nothing about these."""

    file: FabricFile = field(default_factory=FabricFile)
    root: Node = field(default_factory=lambda: Node(Mark(), None))
    problems: list[Problem] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)

    def add(self, findings: Iterable[Finding]) -> None:
        """Tell more of it."""
        new = place_findings(self.root, findings)
        found = dict.fromkeys([*self.problems, *new])
        self.problems = sorted(found, key=lambda problem: (problem.line, problem.column, problem.where))


def read_file(text: str, folder: str) -> Reading:
    """Read a file whose paths are relative to `folder`. Raises nothing: what is wrong is in `problems`."""
    try:
        tree = read_tree(text)
    except BadYaml as err:
        return Reading(problems=[Problem(line=err.mark.line, column=err.mark.column, what=err.what)])
    reading = Reading(root=tree.root)
    reading.problems = [Problem(line=mark.line, column=mark.column, what=what) for mark, what in tree.faults]
    reading.file = _validate(reading, tree.root.plain(), folder)
    return reading


def _validate(reading: Reading, plain: Any, folder: str) -> FabricFile:
    for _ in range(_ROUNDS):
        try:
            return FabricFile.model_validate(plain, context={FOLDER: folder})
        except ValidationError as err:
            errors = err.errors(include_url=False)
        reading.add(find_shape_fault(error) for error in errors if not _is_left_out(reading, error))
        for error in errors:
            _leave_out(reading, plain, tuple(error["loc"]), error["type"])
        plain = _strip(plain)
    return FabricFile()


def _is_left_out(reading: Reading, error: Error) -> bool:
    """Whether something is missing only because it was wrong, and has been told."""
    return error["type"] == "missing" and tuple(error["loc"]) in reading.spoiled


def _leave_out(reading: Reading, plain: Any, path: Path, kind: str) -> None:
    """Puts nothing in the place of what is wrong, or an empty mapping where there has to be one."""
    path = path[:-1] if path[-1:] == ("[key]",) or kind == "missing" else path
    reading.spoiled.add(path)
    above, key = _find_holder(plain, path)
    if above is not None:
        above[key] = {} if kind in ("model_type", "dict_type") else _GONE


def _find_holder(plain: Any, path: Path) -> tuple[Any, Any]:
    """The innermost collection on the way to a path, and the key in it that leads on. None: the top is at fault."""
    above: Any = None
    key: Any = None
    here = plain
    for step in path:
        found = _find_key(here, step)
        if found is None:
            break
        above, key, here = here, found[0], here[found[0]]
    return above, key


def _find_key(here: Any, step: str | int) -> tuple[Any] | None:
    """The key by which a step leads on from here, if it does: a number may count the keys of a mapping."""
    if isinstance(here, list):
        return (step,) if isinstance(step, int) and step < len(here) else None
    if isinstance(here, dict) and isinstance(step, int) and step < len(here):
        return (list(here)[step],)
    return (step,) if isinstance(here, dict) and step in here else None


def _strip(plain: Any) -> Any:
    """The data without what is gone."""
    if isinstance(plain, dict):
        return {key: _strip(item) for key, item in plain.items() if item is not _GONE}
    return [_strip(item) for item in plain if item is not _GONE] if isinstance(plain, list) else plain
