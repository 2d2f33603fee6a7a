"""Where the machines' init is: beside this package when it was installed, in guest/build of a checkout otherwise."""

from pathlib import Path

from weft.model.errors import Unavailable

NAME = "weft-init"
_HERE = Path(__file__).resolve().parent
PLACES = (_HERE / NAME, _HERE.parents[2] / "guest" / "build" / NAME)


def find_init() -> Path:
    """The binary. Raises Unavailable when it was never built."""
    for path in PLACES:
        if path.is_file():
            return path
    raise Unavailable("the machines' init is not built", hint="make -C guest builds it; it needs musl-gcc")


def read_init() -> bytes:
    """Its content. Raises Unavailable when it was never built."""
    return find_init().read_bytes()
