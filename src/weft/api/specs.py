"""Specs as requests carry them, and what is wrong with one in one line."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, field_validator

from weft.model.insert import InsertSpec, Mode
from weft.model.machine import MachineSpec
from weft.model.names import parse_name
from weft.plan.fabric_file.shape import dump_fault

OUTER = ("body", "query", "path", "spec")
"""Parts of a problem's place that say nothing to whoever wrote the request."""


class MachineDraft(MachineSpec):
    """A machine's spec whose name may be left out."""

    name: str = Field(default="", description="made up from the image's when left out")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return name and parse_name(name, "machine")


class InsertDraft(InsertSpec):
    """An insert's spec whose name and mode may be left out."""

    name: str = Field(default="", description="a parked appliance's own, or made up from the appliance's")
    mode: Mode = Field(default=Mode.INLINE, description="what is usual for the appliance at this port when left out")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return name and parse_name(name, "insert")


_WORDS = {"extra_forbidden": "unknown key", "missing": "is needed"}


def dump_problems(problems: Iterable[Any]) -> str:
    """pydantic's findings in one line."""
    return "; ".join(_dump_problem(problem) for problem in problems)


def _dump_problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"] if part not in OUTER)
    message = _WORDS.get(problem["type"]) or dump_fault(problem)
    return f"{where}: {message}" if where else message
