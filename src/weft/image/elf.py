"""What an ELF file says about itself: the interpreter and the libraries it needs. Nothing is executed."""

import io
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from weft.model.errors import Invalid

ELF_MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class ElfNeeds:
    """`libraries` are DT_NEEDED names, `search` the folders of RUNPATH or RPATH with $ORIGIN resolved."""

    interpreter: str | None
    libraries: tuple[str, ...]
    search: tuple[str, ...]


def read_needs(data: bytes, path: str) -> ElfNeeds:
    """The needs of the ELF file `data`, which lies at `path` in the machine. Raises Invalid for a damaged one."""
    try:
        elf = ELFFile(io.BytesIO(data))
        segments = list(elf.iter_segments())
        interpreters = [str(part.get_interp_name()) for part in segments if isinstance(part, InterpSegment)]
        tags = [tag for part in segments if isinstance(part, DynamicSegment) for tag in part.iter_tags()]
        libraries = tuple(str(tag.needed) for tag in tags if tag.entry.d_tag == "DT_NEEDED")
        search = [str(tag.runpath) for tag in tags if tag.entry.d_tag == "DT_RUNPATH"]
        search = search or [str(tag.rpath) for tag in tags if tag.entry.d_tag == "DT_RPATH"]
    except (ELFError, ValueError, OverflowError, AttributeError) as err:
        raise Invalid(f"{path} is not a sound ELF file: {err}") from err
    return ElfNeeds(interpreters[0] if interpreters else None, libraries, _resolve_origin(search, path))


def _resolve_origin(search: list[str], path: str) -> tuple[str, ...]:
    origin = path.rpartition("/")[0] or "/"
    parts = [part for entry in search for part in entry.split(":") if part]
    return tuple(part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for part in parts)
