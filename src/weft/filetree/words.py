"""Words of commands, and columns of what is shown. Pure."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from weft.ninep.words import NinepError

NUMBER = 11
"""Characters of a number, right-justified, and a space after it: what Plan 9's devices show (stats in cons(3))."""
NAME = 28
"""Characters of a name at least, left-justified, and a space after it; longer ones are written in full."""
_SPECIAL = frozenset(" \t\r\n'#")


def split_commands(text: str) -> list[list[str]]:
    """The words of each line, as Plan 9's tokenize has them: in single quotes anything, ends of lines too, and two
    quotes for one. Lines without words, and those that begin with `#`, are left out.

    Raises NinepError for a quote without an end.
    """
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        if text[at] == "\n":
            commands.append([])
        elif text[at] == "#" and not commands[-1]:
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
            continue
        elif not text[at].isspace():
            word, at = _take_word(text, at)
            commands[-1].append(word)
            continue
        at += 1
    return [words for words in commands if words]


def split_words(line: str) -> list[str]:
    """The words of one command. Raises NinepError."""
    return [word for words in split_commands(line) for word in words]


def _take_word(text: str, at: int) -> tuple[str, int]:
    """One word from `at` on, and where it ends. Quotes may begin and end within it."""
    word, quoted = "", False
    while at < len(text) and (quoted or not text[at].isspace()):
        if text[at] != "'":
            word += text[at]
        elif quoted and text[at + 1 : at + 2] == "'":
            word += "'"
            at += 1
        else:
            quoted = not quoted
        at += 1
    if quoted:
        raise NinepError("invalid: a quote has no end")
    return word, at


def quote_word(word: str) -> str:
    """The word as `split_words` reads it."""
    if word and not _SPECIAL.intersection(word) and word.isprintable():
        return word
    return "'" + word.replace("'", "''") + "'"


def join_words(words: Iterable[str]) -> str:
    """A line that `split_words` splits into these."""
    return " ".join(quote_word(word) for word in words)


def dump_pair(key: str, value: Any) -> str:
    """KEY=VALUE: items of a list have commas between them, and what else is no text is as in JSON."""
    if isinstance(value, list):
        return f"{key}={','.join(map(str, value))}"
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def dump_row(cells: Sequence[str | int | None]) -> str:
    """A line of fixed columns: numbers right-justified, names left-justified; None is a dash. Ends with a newline."""
    return " ".join(_dump_cell(cell) for cell in cells).rstrip() + "\n"


def _dump_cell(cell: str | int | None) -> str:
    if isinstance(cell, int):
        return str(int(cell)).rjust(NUMBER)
    return (quote_word(cell) if cell else "-").ljust(NAME)
