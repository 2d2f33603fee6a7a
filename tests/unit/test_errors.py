"""The error tree: every class below the root is a leaf with a code of its own, and every code is documented."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import weft
from weft.model import errors
from weft.model.errors import ERRORS, Internal, WeftError, error_from_dict

REPOSITORY = Path(__file__).parents[2]
CODES = {"not-found", "forbidden", "exists", "wrong-state", "no-room", "invalid", "unavailable", "internal"}
"""Stable: clients and scripts know them. A new one is added here on purpose."""


def subclasses(root: type[WeftError]) -> Iterator[type[WeftError]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.fixture(scope="module", autouse=True)
def everything_imported() -> None:
    """Also errors that are defined elsewhere shall be seen."""
    for module in pkgutil.walk_packages(weft.__path__, "weft."):
        importlib.import_module(module.name)


def test_the_table_is_complete() -> None:
    defined = {cls for cls in subclasses(WeftError) if cls.__module__ == errors.__name__}
    assert set(ERRORS.values()) == defined
    assert set(ERRORS) == CODES
    assert all(cls.code == code for code, cls in ERRORS.items())
    assert all(cls.__bases__ == (WeftError,) for cls in defined)


def test_an_error_that_is_defined_elsewhere_keeps_the_code_of_a_leaf() -> None:
    """An adapter may say more in Python; over the API it is still one of the codes."""
    for cls in subclasses(WeftError):
        leaves = [leaf for leaf in ERRORS.values() if issubclass(cls, leaf)]
        assert len(leaves) == 1, f"{cls.__qualname__} is no leaf's"
        assert (cls.code, cls.http_status) == (leaves[0].code, leaves[0].http_status)


def test_every_code_is_drawn_in_the_tree_and_stands_in_the_reference() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +([a-z-]+) ", errors.__doc__ or ""))
    assert drawn == {cls.__name__: code for code, cls in ERRORS.items()}
    page = (REPOSITORY / "docs" / "reference" / "errors.md").read_text()
    for code, cls in ERRORS.items():
        assert re.search(rf"`{code}` \| {cls.http_status} \|", page), code


@pytest.mark.parametrize("code", sorted(CODES))
def test_an_error_survives_the_way_to_the_client(code: str) -> None:
    sent = ERRORS[code]("machine 'web' is odd", hint="look twice", detail="a\nb")
    got = error_from_dict(sent.as_dict())
    assert type(got) is type(sent)
    assert got.as_dict() == sent.as_dict()
    assert str(got) == "machine 'web' is odd (look twice)"


def test_a_code_of_tomorrow_is_an_internal_error_today() -> None:
    for code in ({"code": "on-fire"}, {"code": None}, {}):
        got = error_from_dict({**code, "message": "hot"})
        assert type(got) is Internal and str(got) == "hot"
    assert str(error_from_dict({})) == "no message"
