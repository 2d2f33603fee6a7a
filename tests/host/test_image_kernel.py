"""Building a kernel: the way from source to store, on a source tree of a few lines that takes no time.

That the real one is reproducible is shown by benchmarks/kernel_reproducible.py, and that it boots by tests/machine.
"""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from weft.host.process import run
from weft.image.folders import REPOSITORY
from weft.image.importing import import_kernel
from weft.image.kernel import build_kernel
from weft.image.kernel_make import ESSENTIAL
from weft.image.store import KernelStore
from weft.model.errors import Internal, Invalid

pytestmark = pytest.mark.host

MAKEFILE = """\
$(O)/.config: ; cp "$(KCONFIG_ALLCONFIG)" $@
allnoconfig: ; mkdir -p $(O) && sed /ABSENT/d "$(KCONFIG_ALLCONFIG)" > $(O)/.config
vmlinux:
	@echo "  CC      a.o"
	@echo run >> $(dir $(CURDIR))/runs
	gcc -nostdlib -static -no-pie -DWHERE='"$(KBUILD_BUILD_HOST) $(KBUILD_BUILD_TIMESTAMP)"' -o $(O)/vmlinux a.c
	@echo "  LD      vmlinux"
"""
PROGRAM = """\
asm(".section .note.Xen,\\"a\\",@note\\n.long 4,4,18\\n.asciz \\"Xen\\"\\n.long 0x200000\\n.text\\n");
const char banner[] = "Linux version 6.1.77-tiny (" WHERE ")";
void _start(void) { for (;;); }
"""


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    missing = [tool for tool in ("make", "gcc", "ld", "strip", "patch") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree that make takes for a kernel."""
    folder = tmp_path / "source" / "linux"
    (folder / "arch" / "x86").mkdir(parents=True)
    for name, text in (("Kbuild", ""), ("Makefile", MAKEFILE), ("a.c", PROGRAM)):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def fragment(tmp_path: Path) -> Path:
    path = tmp_path / "fragment"
    path.write_text("\n".join(sorted(ESSENTIAL)) + "\nCONFIG_ABSENT=y\n")
    return path


def count_runs(tree: Path) -> int:
    """How often the tree was compiled."""
    return len((tree.parent / "runs").read_text().splitlines())


async def test_from_source_to_store(tmp_path: Path, tree: Path, fragment: Path) -> None:
    told: list[tuple[str, float | None]] = []
    info = await build_kernel(
        tmp_path / "home",
        source=tree,
        fragment=fragment,
        cache=tmp_path / "cache",
        progress=lambda text, fraction: told.append((text, fraction)),
    )
    assert info.release == "6.1.77-tiny"
    assert info.origin == "built"
    store = KernelStore(tmp_path / "home")
    assert store.default() == info
    assert b"weft Thu Jan  1 00:00:00 UTC 1970" in store.vmlinux_path(info).read_bytes()
    fractions = [fraction for _, fraction in told if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert "this source does not take CONFIG_ABSENT=y" in [text for text, _ in told]
    assert not list((tmp_path / "cache" / "kernel").glob("build-*"))


async def test_the_same_source_is_compiled_once(tmp_path: Path, tree: Path, fragment: Path) -> None:
    async def build(home: str, *, force: bool = False) -> str:
        info = await build_kernel(
            tmp_path / home, source=tree, fragment=fragment, cache=tmp_path / "cache", force=force
        )
        return info.digest

    first = await build("one")
    assert await build("one") == first
    assert await build("two") == first
    assert count_runs(tree) == 1
    assert await build("two", force=True) == first
    assert count_runs(tree) == 2
    fragment.write_text(fragment.read_text() + "CONFIG_MORE=y\n")
    await build("one")
    assert count_runs(tree) == 3


async def test_builders_wait_for_each_other(tmp_path: Path, tree: Path, fragment: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    builds = (build_kernel(home, source=tree, fragment=fragment, cache=tmp_path / "cache") for home in homes)
    one, two = await asyncio.gather(*builds)
    assert one.digest == two.digest
    assert count_runs(tree) == 1


async def test_a_tarball_is_a_source_too(tmp_path: Path, tree: Path, fragment: Path) -> None:
    tarball = tmp_path / "linux.tar.xz"
    await run(["tar", "-cJf", str(tarball), "-C", str(tree.parent), "linux"])
    told: list[str] = []
    info = await build_kernel(
        tmp_path / "home",
        source=tarball,
        fragment=fragment,
        cache=tmp_path / "cache",
        progress=lambda text, _fraction: told.append(text),
    )
    assert info.release == "6.1.77-tiny"
    assert [text for text in told if "does not fit this source" in text]


async def test_a_kernel_no_machine_could_use_is_not_built(tmp_path: Path, tree: Path, fragment: Path) -> None:
    fragment.write_text(fragment.read_text().replace("CONFIG_PVH=y\n", ""))
    with pytest.raises(Invalid, match="CONFIG_PVH=y"):
        await build_kernel(tmp_path / "home", source=tree, fragment=fragment, cache=tmp_path / "cache")
    assert KernelStore(tmp_path / "home").list() == []


async def test_a_name_is_looked_at_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not a valid name"):
        await build_kernel(tmp_path, name="My Kernel")
    with pytest.raises(Invalid, match="not a valid name"):
        await import_kernel(tmp_path / "none", tmp_path, name="My Kernel")


async def test_what_does_not_compile_says_why_and_leaves_nothing(tmp_path: Path, tree: Path, fragment: Path) -> None:
    (tree / "a.c").write_text("#error no good\n")
    with pytest.raises(Internal) as caught:
        await build_kernel(tmp_path / "home", source=tree, fragment=fragment, cache=tmp_path / "cache")
    assert "no good" in (caught.value.detail or "")
    assert [path.name for path in (tmp_path / "cache" / "kernel").iterdir()] == [".lock"]


async def test_a_build_that_is_called_off_leaves_nothing(tmp_path: Path, tree: Path, fragment: Path) -> None:
    (tree / "Makefile").write_text(MAKEFILE.replace("gcc ", "sleep 60; gcc "))
    started = asyncio.Event()

    def look(text: str, _fraction: float | None) -> None:
        if text.startswith("compiling"):
            started.set()

    building = asyncio.create_task(
        build_kernel(tmp_path / "home", source=tree, fragment=fragment, cache=tmp_path / "cache", progress=look)
    )
    async with asyncio.timeout(30):
        await started.wait()
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
    assert [path.name for path in (tmp_path / "cache" / "kernel").iterdir()] == [".lock"]


async def test_what_a_killed_builder_left_is_swept(tmp_path: Path, tree: Path, fragment: Path) -> None:
    orphan = tmp_path / "cache" / "kernel" / "build-orphan"
    orphan.mkdir(parents=True)
    await build_kernel(tmp_path / "home", source=tree, fragment=fragment, cache=tmp_path / "cache")
    assert not orphan.exists()


async def test_the_proof_of_reproducibility_notices_what_differs(tmp_path: Path, tree: Path, fragment: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks.kernel_reproducible", "--source", str(tree)]
    argv += ["--fragment", str(fragment), "--cache", str(tmp_path / "cache")]
    done = await run(argv, cwd=REPOSITORY)
    assert json.loads(done.stdout)["same"]
    (tree / "Makefile").write_text(MAKEFILE.replace("-DWHERE='\"", "-DWHERE='\"$(CURDIR) $(O) "))
    done = await run(argv, cwd=REPOSITORY, check=False)
    assert done.status == 1
    assert not json.loads(done.stdout)["same"]
