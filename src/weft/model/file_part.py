"""What all parts of a fabric file have in common: short forms, and how an editor is told of them."""

from typing import Any, ClassVar

from pydantic import ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from weft.model.machine import Spec


class Part(Spec):
    """Base of a file's parts. `short`: which field a plain value stands for, of the type of JSON `short_type`.
    Nothing at all: all defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    short: ClassVar[str | None] = None
    short_type: ClassVar[str] = "string"

    @model_validator(mode="before")
    @classmethod
    def _read_short(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {cls.short: value} if cls.short and isinstance(value, str | int) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Its long form, its short one, or nothing."""
        schema = handler.resolve_ref_schema(handler(core))
        long = {key: schema.pop(key) for key in list(schema) if key not in ("title", "description")}
        short = [{"type": cls.short_type}] if cls.short else []
        return {**schema, "anyOf": [long, *short, {"type": "null"}]}
