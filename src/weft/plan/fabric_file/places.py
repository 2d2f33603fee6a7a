"""Where in a fabric file something is: paths of keys, and the marks that they lead to. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from weft.model.problem import Problem
from weft.plan.fabric_file.tree import Entry, Mark, Node

Path = tuple[str | int, ...]
"""Keys and numbers of items, from the top: `("rooms", "acme", "machines", "web", "publish", 0)`."""


class Finding(NamedTuple):
    """Something worth telling about a place. `at_key`: about the key there rather than its value."""

    path: Path
    what: str
    at_key: bool = False
    severity: str = "error"


def warn(path: Path, what: str) -> Finding:
    """A finding that keeps nobody from using the file."""
    return Finding(path, what, severity="warning")


def find_place(root: Node, path: Path, *, at_key: bool = False) -> tuple[Mark, str]:
    """The mark of what a path leads to, or of the last thing on its way that is there; and the path in words.

    Short forms are not as long as the paths of what they stand for, so a path may end early.
    """
    node, mark, words = root, root.mark, ""
    for step in path:
        found = _step(node, step)
        if found is None:
            # What is not there is told where it should be.
            words += f".{step}" if isinstance(step, str) and isinstance(node.value, dict) and words else ""
            break
        name, entry = found
        words += f"[{name}]" if isinstance(name, int) else f".{name}" * bool(words) or str(name)
        node, mark = entry.node, entry.key if at_key or entry.node.value is None else entry.node.mark
    return mark, words


def _step(node: Node, step: str | int) -> tuple[str | int, Entry] | None:
    """One step down: what it is called there, and what is there."""
    if isinstance(node.value, dict):
        if isinstance(step, int):
            return list(node.value.items())[step] if step < len(node.value) else None
        if step in node.value:
            return step, node.value[step]
        return _step_dotted(node.value, step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return step, Entry(item.mark, item)
    return None


def _step_dotted(entries: dict[str, Entry], step: str) -> tuple[str, Entry] | None:
    """A setting `lan.mtu` may be written as `mtu` below `lan`."""
    head, dot, rest = step.partition(".")
    if not dot or head not in entries or not isinstance(entries[head].node.value, dict):
        return None
    found = _step(entries[head].node, rest)
    return (step, found[1]) if found else None


def place_findings(root: Node, findings: Iterable[Finding]) -> list[Problem]:
    """Findings as problems, in the order of the file, each once."""
    problems = dict.fromkeys(_place(root, finding) for finding in findings)
    return sorted(problems, key=lambda problem: (problem.line, problem.column, problem.where))


def _place(root: Node, finding: Finding) -> Problem:
    mark, words = find_place(root, finding.path, at_key=finding.at_key)
    return Problem.model_validate(
        {
            "line": mark.line,
            "column": mark.column,
            "where": words,
            "what": finding.what,
            "severity": finding.severity,
        }
    )
