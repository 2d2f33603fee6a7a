"""Libraries that a program names but never uses, replaced by empty ones.

Debian's libpcap, for one, names libdbus, which brings seven libraries more; an appliance that sniffs Ethernet never
calls them. A program does not start without what it names, and its symbols. So the stub has the library's name, the
versions and the names of the symbols that somebody here wants of it, and nothing behind them: a call ends the program.
What is data in the real library cannot be told from a function here; a recipe that stubs such a library is wrong.
"""

import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from weft.host.process import ProcessFailed, run
from weft.model.errors import Internal, Invalid

HIDDEN = 0x7FFF
"""Bits of a symbol's version index; the one above says that it is hidden."""


@dataclass(frozen=True, order=True)
class Wanted:
    """A symbol that an ELF file wants of a library: `version` is the library's name for a set of them."""

    version: str
    name: str


def find_wanted(data: bytes, path: str, library: str) -> set[Wanted]:
    """What the ELF file `data` at `path` wants of `library`. Raises Invalid when it does not say what belongs to it."""
    try:
        elf = ELFFile(io.BytesIO(data))
        versions = _versions_of(elf, library)
        symbols, numbers = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".gnu.version")
        if not versions or not isinstance(symbols, SymbolTableSection) or not isinstance(numbers, GNUVerSymSection):
            raise Invalid(f"stubs: {path} does not say which symbols it wants of {library}")
        return {
            Wanted(versions[number], symbol.name)
            for index, symbol in enumerate(symbols.iter_symbols())
            if symbol["st_shndx"] == "SHN_UNDEF" and (number := _number(numbers, index)) in versions
        }
    except (ELFError, ValueError, OverflowError) as err:
        raise Invalid(f"{path} is not a sound ELF file: {err}") from err


def _versions_of(elf: ELFFile, library: str) -> dict[int, str]:
    section = elf.get_section_by_name(".gnu.version_r")
    if not isinstance(section, GNUVerNeedSection):
        return {}
    return {
        version["vna_other"] & HIDDEN: str(version.name)
        for need, versions in section.iter_versions()
        if need.name == library
        for version in versions
    }


def _number(numbers: GNUVerSymSection, index: int) -> int:
    value = numbers.get_symbol(index)["ndx"]
    return value & HIDDEN if isinstance(value, int) else 0


async def make_stub(library: str, wanted: Iterable[Wanted]) -> bytes:
    """A shared library of this name with these symbols. Raises Unavailable without gcc."""
    symbols = sorted(wanted)
    with tempfile.TemporaryDirectory(prefix="weft-stub-") as name:
        folder = Path(name)
        (folder / "versions").write_text(_dump_versions(symbols))
        source = "".join(f"void {symbol.name}(void) {{ __builtin_trap(); }}\n" for symbol in symbols)
        (folder / "stub.c").write_text(source)
        argv = ["gcc", "-shared", "-nostdlib", "-Os", "-s", "-fno-builtin", "-fno-asynchronous-unwind-tables", "-w"]
        argv += [
            f"-Wl,-soname,{library}",
            "-Wl,--version-script,versions",
            "-Wl,--build-id=none",
            "-Wl,-z,noseparate-code",
        ]
        try:
            await run([*argv, "-Wl,--hash-style=gnu", "-fno-ident", "stub.c", "-o", "stub"], cwd=folder)
        except ProcessFailed as err:
            raise Internal(f"stubs: {library} cannot be compiled", detail=err.detail) from err
        return (folder / "stub").read_bytes()


def _dump_versions(symbols: list[Wanted]) -> str:
    """A linker's version script: each version with its symbols."""
    names: dict[str, list[str]] = {}
    for symbol in symbols:
        names.setdefault(symbol.version, []).append(symbol.name)
    return "".join(f"{version} {{ global: {'; '.join(names[version])}; }};\n" for version in sorted(names))
