"""What is wrong with a text that somebody wrote, and where in it."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """One of them. A `warning` is worth a look; only an `error` keeps the text from being used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int = Field(ge=1)
    column: int = Field(ge=1)
    where: str = Field(default="", description="the keys that lead there, like `rooms.acme.machines.web`")
    what: str
    severity: Literal["error", "warning"] = "error"

    def dump(self, name: str) -> str:
        """`FILE:LINE:COLUMN: where: what`, as editors find their way by."""
        what = f"warning: {self.what}" if self.severity == "warning" else self.what
        return ": ".join(part for part in (f"{name}:{self.line}:{self.column}", self.where, what) if part)


def find_errors(problems: Sequence[Problem]) -> list[Problem]:
    """Those that are not mere warnings."""
    return [problem for problem in problems if problem.severity == "error"]
