"""Words of commands, and columns of what is shown. Pure."""

from collections.abc import Iterable, Sequence

from weft.ninep.words import NinepError

NUMBER = 11
"""Characters of a number, right-justified, and a space after it: what Plan 9's devices show (stats in cons(3))."""
NAME = 28
"""Characters of a name at least, left-justified, and a space after it; longer ones are written in full."""
_SPECIAL = frozenset(" \t\r\n'")


def split_words(line: str) -> list[str]:
    """The words of a line as Plan 9's tokenize has them: in single quotes anything, and two of them for one.

    Raises NinepError for a quote without an end.
    """
    words: list[str] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        word, at = _take_word(line, at)
        words.append(word)
    return words


def _take_word(line: str, at: int) -> tuple[str, int]:
    """One word from `at` on, and where it ends. Quotes may begin and end within it."""
    word, quoted = "", False
    while at < len(line) and (quoted or not line[at].isspace()):
        if line[at] != "'":
            word += line[at]
        elif quoted and line[at + 1 : at + 2] == "'":
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


def dump_row(cells: Sequence[str | int | None]) -> str:
    """A line of fixed columns: numbers right-justified, names left-justified; None is a dash. Ends with a newline."""
    return " ".join(_dump_cell(cell) for cell in cells).rstrip() + "\n"


def _dump_cell(cell: str | int | None) -> str:
    if isinstance(cell, int):
        return str(int(cell)).rjust(NUMBER)
    return (quote_word(cell) if cell else "-").ljust(NAME)
