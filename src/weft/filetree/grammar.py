"""What a command takes, said by its usage, and what was given of it. Pure.

    insert IMAGE [name=NAME] [fail=open|closed] [for=SECONDS] [cold]

Capitals stand for a value, which comes in this order, `[…]` may be left out, `…=` is an option, a word in small letters
alone is a flag, and `VALUE...` at the end takes all that is left. SIZE, SECONDS and N are sizes, durations and numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from weft.model.errors import WeftError
from weft.model.units import parse_duration, parse_size
from weft.ninep.words import NinepError

Given = Mapping[str, Any]
"""What was given by lower-case name, complete: None, False or () for what was left out."""


def _parse_number(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise NinepError(f"invalid: {text!r} is not a number")
    return int(text)


_TYPES: Mapping[str, Callable[[str], Any]] = {
    "SIZE": parse_size,
    "SECONDS": parse_duration,
    "N": _parse_number,
    "ROWS": _parse_number,
    "COLUMNS": _parse_number,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that may be given. `kind` is its type's word, or choices with `|` between them; a flag has none."""

    name: str
    kind: str
    place: str
    needed: bool

    def read(self, text: str) -> Any:
        """The value. Raises NinepError."""
        if "|" in self.kind and text not in self.kind.split("|"):
            raise NinepError(f"invalid: {self.name} is {' or '.join(self.kind.split('|'))}, not {text!r}")
        try:
            return _TYPES.get(self.kind, str)(text)
        except (WeftError, ValueError) as err:  # of a number with thousands of digits
            raise NinepError(f"invalid: {self.name}: {err}") from err


@dataclass(frozen=True)
class Grammar:
    """What a command of this name takes. `text` says what it does."""

    word: str
    usage: str
    text: str = ""

    @cached_property
    def slots(self) -> Sequence[Slot]:
        """All that may be given, in the order of the usage."""
        return [_read_slot(word) for word in self.usage.split()]

    def read(self, words: Sequence[str]) -> Given:
        """What these words give. Raises NinepError, with the usage."""
        found: dict[str, Any] = {slot.name: _EMPTY[slot.place] for slot in self.slots}
        options = {slot.name: slot for slot in self.slots if slot.place == "option"}
        flags = {slot.name for slot in self.slots if slot.place == "flag"}
        values: list[str] = []
        for word in words:
            key, equals, value = word.partition("=")
            if equals and key in options:
                found[key] = options[key].read(value)
            elif word in flags:
                found[word] = True
            else:
                values.append(word)
        return found | self._read_values(values)

    def _read_values(self, values: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        left = list(values)
        for slot in self.slots:
            if slot.place == "rest":
                found[slot.name], left = tuple(left), []
            elif slot.place == "value" and left:
                found[slot.name] = slot.read(left.pop(0))
            if slot.needed and not found.get(slot.name):
                raise NinepError(f"invalid: usage: {self}")
        if left:
            raise NinepError(f"invalid: {left[0]!r} is too much; usage: {self}")
        return found

    def __str__(self) -> str:
        return f"{self.word} {self.usage}".strip()


_EMPTY: Mapping[str, Any] = {"value": None, "option": None, "flag": False, "rest": ()}


def _read_slot(word: str) -> Slot:
    bare = word.removeprefix("[").removesuffix("]")
    name, equals, kind = bare.partition("=")
    needed = bare == word
    if equals:
        return Slot(name, kind, "option", False)
    if bare.endswith("..."):
        return Slot(bare.removesuffix("...").lower(), "", "rest", needed)
    if bare.islower():
        return Slot(bare, "", "flag", False)
    return Slot(bare.lower(), bare, "value", needed)
