"""How far machines can grow, and what a change of a size comes to. Pure."""

from weft.model.elastic import ScaleRequest
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec
from weft.model.units import dump_size


def check_growth(spec: MachineSpec, memory: int) -> None:
    """`memory`: what it starts with, by its spec or its image. Raises Invalid."""
    top = spec.elastic.max_memory if spec.elastic else None
    if top is not None and top < memory:
        what = (
            f"machine {spec.name!r}: it may grow to {dump_size(top)} of memory, and its image needs {dump_size(memory)}"
        )
        raise Invalid(what, hint="raise the maximum, or say a smaller minimum")


def find_target(granted: int, request: ScaleRequest | None, change: int) -> int:
    """The size that is so much more, or less: than what was asked for while that is on its way, else than what was
    granted.
    """
    now = granted if request is None or request.state.is_settled else request.wanted
    return now + change
