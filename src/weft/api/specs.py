"""Specs as requests carry them: read late, since the daemon may have to fill in a name first."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from weft.model.errors import Invalid
from weft.model.machine import Spec

S = TypeVar("S", bound=Spec)
OUTER = ("body", "query", "path", "spec")
"""Parts of a problem's place that say nothing to whoever wrote the request."""


def parse_spec(kind: type[S], data: Mapping[str, Any]) -> S:
    """A spec from what a request says. Raises Invalid naming every wrong key."""
    try:
        return kind.model_validate(data)
    except ValidationError as err:
        raise Invalid(dump_problems(err.errors())) from err


def dump_problems(problems: Iterable[Any]) -> str:
    """pydantic's findings in one line."""
    return "; ".join(_dump_problem(problem) for problem in problems)


def _dump_problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"] if part not in OUTER)
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
