"""How policies of growth are written: in a word, or as values with their units."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ValidatorFunctionWrapHandler, WrapValidator

from weft.model.elastic import ElasticPolicy, PolicyMode
from weft.model.errors import Invalid, WeftError
from weft.model.units import dump_size, parse_duration, parse_size


def parse_value(name: str, text: str) -> Any:
    """A value of a policy from text: `5m` for a time, `90%` for a share, `32M` for a size. Raises Invalid."""
    field = ElasticPolicy.model_fields.get(name)
    if field is None or field.annotation not in (int, float):
        return text
    if field.annotation is int:
        return parse_size(text)
    number, percent, rest = text.strip().partition("%")
    if not percent:
        return parse_duration(text)
    try:
        if rest:
            raise ValueError(rest)
        return float(number) / 100
    except ValueError as err:
        raise Invalid(f"{text!r} is not a share", hint="write it like 90% or 0.9") from err


def dump_policy(policy: ElasticPolicy) -> Any:
    """As it is written: in a word, or with what is special about it."""
    said = policy.model_dump(mode="json", exclude_defaults=True)
    if said.keys() <= {"mode"}:
        return True if policy.mode is PolicyMode.AUTO else policy.mode.value
    return {name: _dump_value(name, value) for name, value in said.items()}


def _dump_value(name: str, value: Any) -> Any:
    return dump_size(value) if ElasticPolicy.model_fields[name].annotation is int and value else value


def _read_policy(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, bool):
        value = {"mode": PolicyMode.AUTO if value else PolicyMode.MANUAL}
    elif isinstance(value, str):
        value = {"mode": value}
    if isinstance(value, Mapping):
        value = {name: _read_value(name, item) for name, item in value.items()}
    try:
        return handler(value)
    except WeftError as err:
        raise ValueError(str(err)) from err


def _read_value(name: str, value: Any) -> Any:
    """What is no value stays as it is: pydantic tells of it, and where it stands."""
    try:
        return parse_value(name, value) if isinstance(value, str) else value
    except Invalid:
        return value


Policy = Annotated[ElasticPolicy, WrapValidator(_read_policy)]
"""A policy as a fabric file has it."""
