"""Where the programs are that machines start with: beside this package when it was installed, in guest/build of a
checkout otherwise."""

from pathlib import Path

from weft.model.errors import Unavailable

NAME = "weft-init"
STARTER = "weft-multiboot"
"""What starts a kernel that a boot loader has loaded."""
_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE, _HERE.parents[2] / "guest" / "build")


def find_init() -> Path:
    """The machines' init. Raises Unavailable when it was never built."""
    return _find(NAME, "the machines' init")


def read_init() -> bytes:
    """Its content. Raises Unavailable when it was never built."""
    return find_init().read_bytes()


def read_starter() -> bytes:
    """What starts a kernel where multiboot does. Raises Unavailable when it was never built."""
    return _find(STARTER, "what starts kernels from the network").read_bytes()


def _find(name: str, what: str) -> Path:
    for folder in _FOLDERS:
        if (path := folder / name).is_file():
            return path
    raise Unavailable(f"{what} is not built", hint="make -C guest builds it; it needs musl-gcc")
