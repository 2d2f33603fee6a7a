"""Stand-ins for libraries that nothing uses: made with the compiler, from what an ELF file says it wants."""

import ctypes
import subprocess
from pathlib import Path

import pytest

from weft.image.stub import Wanted, find_wanted, make_stub
from weft.model.errors import Invalid

pytestmark = pytest.mark.host


def compile_library(folder: Path, name: str, source: str, *options: str) -> Path:
    (folder / f"{name}.c").write_text(source)
    argv = ["gcc", "-shared", "-fPIC", "-L.", f"-Wl,-soname,{name}", f"{name}.c", "-o", name, *options]
    subprocess.run(argv, cwd=folder, check=True)
    return folder / name


async def test_a_stub_has_what_is_wanted_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "map").write_text("X_1 { global: one; unused; };\nX_2 { global: two; };\n")
    source = "int one(void) { return 1; } int two(void) { return 2; } int unused(void) { return 3; }"
    compile_library(tmp_path, "libx.so.1", source, "-Wl,--version-script,map")
    source = "int one(void), two(void); int sum(void) { return one() + two(); }"
    user = compile_library(tmp_path, "libuser.so", source, "-l:libx.so.1")
    wanted = find_wanted(user.read_bytes(), "/libuser.so", "libx.so.1")
    assert wanted == {Wanted("X_1", "one"), Wanted("X_2", "two")}
    stub = await make_stub("libx.so.1", wanted)
    assert stub == await make_stub("libx.so.1", wanted)
    assert len(stub) < 16384
    (tmp_path / "stub.so").write_bytes(stub)
    loaded = ctypes.CDLL(str(tmp_path / "stub.so"))
    assert loaded.one and loaded.two
    assert not hasattr(loaded, "unused")


async def test_what_has_no_versions_cannot_be_stubbed(tmp_path: Path) -> None:
    compile_library(tmp_path, "libx.so.1", "int one(void) { return 1; }")
    user = compile_library(tmp_path, "libuser.so", "int one(void); int two(void) { return one(); }", "-l:libx.so.1")
    with pytest.raises(Invalid, match=r"does not say which symbols it wants of libx\.so\.1"):
        find_wanted(user.read_bytes(), "/libuser.so", "libx.so.1")
    with pytest.raises(Invalid, match="not a sound ELF"):
        find_wanted(b"something else", "/libuser.so", "libx.so.1")
