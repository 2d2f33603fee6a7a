"""Routes and types of the HTTP API, from its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from scripts.reference.page import anchor, dump_table
from starlette.routing import WebSocketRoute

from weft.api import streams
from weft.api.app import API_VERSION, make_app

Schema = Mapping[str, Any]

STREAM = "a stream: see [Streams](#streams)"


@cache
def _app() -> Any:
    # Only its routes are looked at: no fabric is behind it.
    return make_app(cast(Any, None), lambda machines: None)


def find_routes() -> list[tuple[str, str]]:
    """Every route as (method, path), with `WS` for a WebSocket."""
    document = _app().openapi()
    plain = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    return [*plain, *(("WS", path) for path, _ in _web_sockets())]


def dump_routes() -> str:
    """All routes, a section each, in the order of the document; WebSockets last."""
    paths = _app().openapi()["paths"]
    parts = [
        "\n".join(_dump_route(path, method, route)) for path, item in paths.items() for method, route in item.items()
    ]
    sockets = [f"### WS {path}\n\n{text} See [WebSockets](#websockets).\n" for path, text in _web_sockets()]
    return "\n".join([*parts, *sockets])


def dump_types() -> str:
    """All types that requests and answers are made of."""
    return "\n".join("\n".join(_dump_type(name, schema)) for name, schema in sorted(_types().items()))


def _web_sockets() -> list[tuple[str, str]]:
    """Path and meaning of each: OpenAPI knows nothing of WebSockets."""
    routes = [route for route in streams.router.routes if isinstance(route, WebSocketRoute)]
    return [(f"/{API_VERSION}{route.path}", _first_line(route.endpoint)) for route in routes]


def _first_line(function: Any) -> str:
    return (function.__doc__ or "").strip().splitlines()[0]


def _types() -> dict[str, Schema]:
    return dict(_app().openapi()["components"]["schemas"])


def _dump_route(path: str, method: str, route: Schema) -> Iterator[str]:
    yield f"### {method.upper()} {path}\n"
    yield f"{_dump_text(route)}\n"
    queries = [parameter for parameter in route.get("parameters", ()) if parameter["in"] == "query"]
    yield dump_table(("query", "type", "default", "meaning"), map(_dump_parameter, queries))
    if body := route.get("requestBody"):
        yield f"Body: {_dump_kind(body['content']['application/json']['schema'])}."
    yield f"Answer: {_dump_answer(route['responses'])}.\n"


def _dump_parameter(parameter: Schema) -> tuple[str, str, str, str]:
    schema = parameter["schema"]
    default = _dump_default(schema, parameter["required"])
    return f"`{parameter['name']}`", _dump_kind(schema), default, parameter.get("description", "")


def _dump_answer(responses: Schema) -> str:
    status, answer = next((status, answer) for status, answer in responses.items() if status.startswith("2"))
    if status == "204":
        return "204, nothing"
    if "text/plain" in answer.get("content", {}):
        return f"{status}, text"
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    return f"{status}, {_dump_kind(schema) if schema else STREAM}"


def _dump_type(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{_dump_text(schema)}\n"
    if choices := schema.get("enum"):
        yield f"One of {', '.join(f'`{choice}`' for choice in choices)}.\n"
    required = set(schema.get("required", ()))
    rows = [_dump_field(key, field, required) for key, field in schema.get("properties", {}).items()]
    yield dump_table(("field", "type", "default", "meaning"), rows)


def _dump_field(key: str, field: Schema, required: set[str]) -> tuple[str, str, str, str]:
    return f"`{key}`", _dump_kind(field), _dump_default(field, key in required), field.get("description", "")


def _dump_default(schema: Schema, required: bool) -> str:
    if required:
        return "required"
    default = schema.get("default")
    return "none" if default in (None, "", [], {}) else f"`{json.dumps(default).strip(chr(34))}`"


def _dump_text(schema: Schema) -> str:
    return " ".join(schema.get("description", "").split())


def _dump_kind(schema: Schema) -> str:
    """A type in a few words."""
    if reference := schema.get("$ref"):
        return _link(reference.rpartition("/")[2])
    if choices := schema.get("anyOf", schema.get("allOf")):
        return " or ".join(map(_dump_kind, choices))
    if (constant := schema.get("const")) is not None:
        return f"`{constant}`"
    if choices := schema.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    match schema.get("type"):
        case "array":
            return f"list of {_dump_kind(schema['items'])}" if "items" in schema else "list"
        case "object":
            values = schema.get("additionalProperties")
            return f"object of {_dump_kind(values)}" if isinstance(values, dict) and values else "object"
        case kind:
            return f"{schema.get('format') or kind}{_dump_limits(schema)}"


def _dump_limits(schema: Schema) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    # A limit comes as a float even where the type is integer.
    limits = [f"{text} {int(schema[key])}" for key, text in words.items() if key in schema]
    return f", {', '.join(limits)}" if limits else ""


def _link(name: str) -> str:
    return f"[{name}](#{anchor(name)})"
