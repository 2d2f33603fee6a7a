"""`python -m scripts.reference [--check] FILE...`: writes the generated parts of pages, or says which are not current.

The name of a file says what belongs into it: api.md, settings.md, errors.md, events.md, metrics.md,
fabric-file.md, file-tree.md, or fabric-file.schema.json, which is written as a whole.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from scripts.reference.api import dump_routes, dump_types
from scripts.reference.fabric_file import dump_keys, dump_schema
from scripts.reference.file_tree import dump_columns, dump_commands, dump_reach
from scripts.reference.page import fill_parts
from scripts.reference.tables import dump_errors, dump_events, dump_metrics, dump_settings

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "api.md": {"routes": dump_routes, "types": dump_types},
    "settings.md": {"settings": dump_settings},
    "errors.md": {"errors": dump_errors},
    "events.md": {"events": dump_events},
    "metrics.md": {"metrics": dump_metrics},
    "fabric-file.md": {"keys": dump_keys},
    "file-tree.md": {"commands": dump_commands, "columns": dump_columns, "reach": dump_reach},
}
"""What each page's generated parts are made by."""
WHOLE: dict[str, Callable[[], str]] = {"fabric-file.schema.json": dump_schema}
"""Files without a part that somebody writes."""


def write_page(path: Path) -> str:
    """The page at `path` with its generated parts as they should be. Raises LookupError for an unknown page."""
    if path.name in WHOLE:
        return WHOLE[path.name]()
    return fill_parts(path.read_text(), {name: dump() for name, dump in PAGES[path.name].items()})


def main(args: list[str]) -> int:
    """Writes or checks the pages; the exit status."""
    checking = args[:1] == ["--check"]
    paths = [Path(name) for name in args[checking:]]
    if not paths or any(path.name not in {**PAGES, **WHOLE} for path in paths):
        known = ", ".join({**PAGES, **WHOLE})
        sys.stderr.write(f"usage: python -m scripts.reference [--check] FILE...   with {known}\n")
        return 2
    stale = [path for path in paths if not path.exists() or path.read_text() != write_page(path)]
    for path in stale:
        if checking:
            sys.stderr.write(f"{path} is not what the code says; run: make docs\n")
        else:
            path.write_text(write_page(path))
    return int(checking and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
