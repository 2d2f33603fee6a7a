"""What a machine has of its fabric, as a fabric file describes it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from weft.model.expose import ExposeSpec
from weft.model.file_part import Part
from weft.model.file_words import quietly, read_list
from weft.model.options import parse_expose


def _read_part(value: Any) -> Any:
    return quietly(parse_expose, value) if isinstance(value, str) else value


Exposed = Annotated[
    ExposeSpec,
    BeforeValidator(_read_part),
    WithJsonSchema({"type": "string", "pattern": "^(machine|room|fabric)(:r[ow])?$", "examples": ["room", "room:ro"]}),
]


class AccessFile(Part):
    """What a machine has of the fabric that it is in."""

    short = "expose"

    expose: tuple[Exposed, ...] = Field(
        default=(),
        description="parts of the file tree that it finds at its gateway: `machine`, `room`, `fabric`; `room:ro`",
    )

    @field_validator("expose", mode="before")
    @classmethod
    def _read_one(cls, value: Any) -> Any:
        return () if value in ("none", ["none"]) else read_list(value)
