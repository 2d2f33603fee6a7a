"""What a program in a machine says that the machine needs: a line `cpus 2` or `memory 512M`. Pure."""

from weft.model.elastic import Resource
from weft.model.errors import Invalid
from weft.model.units import parse_size

KIND = "need"
"""The kind of the event that says so."""


def parse_need(text: str) -> tuple[Resource, int]:
    """The resource and the size. Raises Invalid for anything else."""
    words = text.split()
    if len(words) != 2 or words[0] not in set(Resource):
        raise Invalid(f"need {text[:40]!r} is neither `cpus N` nor `memory SIZE`")
    resource = Resource(words[0])
    if resource is Resource.MEMORY:
        return resource, parse_size(words[1])
    if not words[1].isascii() or not words[1].isdecimal() or not 1 <= int(words[1]) <= 4096:
        raise Invalid(f"need {text[:40]!r}: that is no number of CPUs")
    return resource, int(words[1])
