"""Pages of Markdown: tables, anchors, and the parts between markers."""

import re
from collections.abc import Iterable, Mapping, Sequence


def fill_parts(page: str, parts: Mapping[str, str]) -> str:
    """The page with each named part between its markers replaced. Raises LookupError when a marker is missing."""
    for name, text in parts.items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->\n"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise LookupError(f"no part {name!r}: it lies between {begin.strip()} and {end.strip()}")
        text = re.sub(r"\n{3,}", "\n\n", text.strip())
        page = f"{before}{begin}\n{text}\n\n{end}{after}"
    return page


def dump_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that are empty all the way down, or nothing when it has no rows."""
    columns = [column for column in zip(titles, *rows, strict=True) if any(column[1:])]
    lines = [_dump_row(row) for row in zip(*columns, strict=True)]
    return "\n".join([*lines[:1], "|---" * len(columns) + "|", *lines[1:], ""]) if lines else ""


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _dump_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
