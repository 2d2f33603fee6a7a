"""What an image may take, and what is big when it takes more."""

from collections import Counter
from collections.abc import Iterable, Mapping

from weft.image.tree import File, Tree
from weft.model.errors import NoRoom
from weft.model.units import dump_size

OWN_FILES = "(the recipe's own files)"
ROWS = 12
"""As many lines of a table as help: what comes after is small."""


def check_size(size: int, limit: int | None, tree: Tree, origins: Mapping[str, str]) -> None:
    """Raises NoRoom when a root file of `size` bytes is above the limit; its detail is a table of what is big."""
    if limit is not None and size > limit:
        raise NoRoom(
            f"max_size: the root file system takes {dump_megabytes(size)}, more than {dump_limit(limit)}",
            hint="leave something out, or raise max_size in the recipe",
            detail=dump_shares(tree, origins),
        )


def dump_shares(tree: Tree, origins: Mapping[str, str]) -> str:
    """Packages and files by what they hold before compression, biggest first."""
    files = {"/" + path: len(node.data) for path, node in tree if isinstance(node, File)}
    packages: Counter[str] = Counter()
    for path, size in files.items():
        packages[origins.get(path[1:], OWN_FILES)] += size
    return f"{dump_table('PACKAGE', packages.items())}\n{dump_table('FILE', files.items())}"


def dump_table(title: str, rows: Iterable[tuple[str, int]]) -> str:
    """Sizes and names, biggest first, equal ones by name."""
    biggest = sorted(rows, key=lambda row: (-row[1], row[0]))
    lines = [f"{dump_megabytes(size):>10}  {name}" for name, size in biggest[:ROWS]]
    rest = biggest[ROWS:]
    if rest:
        lines.append(f"{dump_megabytes(sum(size for _, size in rest)):>10}  {len(rest)} more")
    return "\n".join([f"{'SIZE':>10}  {title}", *lines])


def dump_megabytes(size: int) -> str:
    """Bytes for people to compare: 1.25M, 3.5K."""
    return f"{size / (1 << 20):.2f}M" if size >= 1 << 20 else f"{size / 1024:.1f}K"


def dump_limit(limit: int) -> str:
    """A limit as it was written, as far as that can be known."""
    return dump_size(limit) if limit % 1024 == 0 else dump_megabytes(limit)
