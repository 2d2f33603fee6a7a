"""Programs of ours that run behind walls: a package of this tree with Python, and nothing else of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from weft.host.sandbox import INSIDE, Bind


def plan_walled(package: ModuleType, words: Sequence[str], *, module: str = "main") -> tuple[list[str], list[Bind]]:
    """The command line that runs `main` of a module in the package with these words, and what it has to see.

    The package may import the standard library and itself: there are no site-packages. It is called within the walls as
    it is outside.
    """
    name = package.__name__
    start = f"import sys; sys.path.insert(0, {str(INSIDE)!r}); from {name}.{module} import main; main(sys.argv[1:])"
    code = Bind(Path(package.__file__ or "").parent, name.replace(".", "/"))
    python, binds = _plan_python(Path(sys.base_prefix))
    return [*python, "-I", "-S", "-c", start, *words], [code, *binds]


def _plan_python(prefix: Path) -> tuple[list[str], list[Bind]]:
    """How to run this very Python within the walls, which have the host's /usr only."""
    name = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if prefix.is_relative_to("/usr"):
        return [str(prefix / name)], []
    inside = Bind(prefix, "python")
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={inside.inside}/lib", str(inside.inside / name)], [inside]
