"""Whether a machine can grow as far as it is to. Pure."""

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
