"""One build of the kernel in an empty folder: unpack, configure, compile, strip, check.

The same source, fragment and tools give the same bytes wherever and whenever they are built: user, host, time and
build number are fixed, the source is named by relative paths, and nothing looks at a version control system.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from weft.host.process import ProcessFailed, find_program, run
from weft.image.kernel_source import KernelSource, Pinned
from weft.image.progress import Progress
from weft.model.errors import Internal, Invalid, Unavailable

UNPACK_TIMEOUT = 900.0
CONFIGURE_TIMEOUT = 600.0
COMPILE_TIMEOUT = 4 * 3600.0

REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "weft",
    "KBUILD_BUILD_HOST": "weft",
    "KBUILD_BUILD_VERSION": "1",
    # Set and empty, it keeps scripts/setlocalversion from adding a plus sign in a git tree.
    "LOCALVERSION": "",
}

ESSENTIAL = frozenset(
    f"CONFIG_{name}=y"
    for name in (
        *("64BIT", "PVH", "BLK_DEV_INITRD", "BINFMT_ELF", "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "UNIX", "EPOLL"),
        *("VIRTIO_MMIO", "VIRTIO_MMIO_CMDLINE_DEVICES", "VIRTIO_PCI", "VIRTIO_BLK", "VIRTIO_NET", "VIRTIO_CONSOLE"),
        *("SERIAL_8250_CONSOLE", "SQUASHFS", "SQUASHFS_LZ4", "OVERLAY_FS", "PACKET", "INET", "BRIDGE"),
    )
)
"""Without these no machine boots or no appliance works; the rest of the fragment may differ by kernel version."""

_STEP = re.compile(r"  (?:CC|AS|AR|LD|HOSTCC|HOSTLD|GEN|UPD|LDS|OBJTOOL|VDSO|OBJCOPY)\b")
_OPTION = re.compile(r"CONFIG_\w+=.+")


async def read_toolchain(needs: dict[str, str]) -> str:
    """Compiler and linker, as they name themselves. Raises Unavailable listing every package that is missing."""
    missing = [package for need, package in needs.items() if not _is_there(need)]
    if missing:
        raise Unavailable("a kernel cannot be built here", hint=f"apt-get install {' '.join(missing)}")
    versions = [(await run([tool, "--version"])).text.splitlines()[0] for tool in ("gcc", "ld")]
    return "; ".join(versions)


def _is_there(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else find_program(need) is not None


async def make_kernel(
    source: KernelSource,
    fragment: Path,
    patches: Sequence[Path],
    folder: Path,
    *,
    pinned: Pinned,
    jobs: int,
    progress: Progress,
) -> Path:
    """Build in `folder`, which is empty; patches are for a tarball, a tree is taken as it is.

    Returns the stripped vmlinux; `out/.config` beside it is its configuration. Raises Invalid when the source refuses
    what a machine cannot do without, Internal when it does not compile."""
    tree = source.path
    if not source.is_tree:
        progress("unpacking the kernel's source", 0.0)
        tree = await _unpack(source.path, folder / "source")
        await _apply(patches, tree, progress)
    out = folder / "out"
    progress("configuring", 0.1)
    await _make(tree, out, ["allnoconfig"], timeout=CONFIGURE_TIMEOUT, env={"KCONFIG_ALLCONFIG": str(fragment)})
    _check_config(fragment, out / ".config", progress)
    count = _count_steps(pinned.steps, progress)
    await _make(tree, out, [f"-j{jobs}", "vmlinux"], timeout=COMPILE_TIMEOUT, on_line=count)
    progress("stripping", 0.99)
    vmlinux = folder / "vmlinux"
    await run(["strip", "--strip-all", "-o", str(vmlinux), str(out / "vmlinux")])
    return vmlinux


async def _unpack(tarball: Path, folder: Path) -> Path:
    folder.mkdir()
    argv = ["tar", "--extract", "--file", str(tarball), "--strip-components=1", "--directory", str(folder)]
    try:
        await run(argv, timeout=UNPACK_TIMEOUT)
    except ProcessFailed as err:
        raise Invalid(f"{tarball} cannot be unpacked: {err.message}", detail=err.detail) from err
    return folder


async def _apply(patches: Sequence[Path], tree: Path, progress: Progress) -> None:
    """Each patch that fits, whole or not at all: what a patch is for may have changed in another version."""
    for path in patches:
        argv = ["patch", "--strip=1", "--force", "--silent", "--directory", str(tree), "--input", str(path)]
        if (await run([*argv, "--dry-run"], check=False)).status:
            progress(f"{path.name} does not fit this source and is left out", 0.1)
        else:
            await run(argv)


async def _make(
    tree: Path,
    out: Path,
    targets: list[str],
    *,
    timeout: float,
    env: dict[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    argv = ["make", "-C", str(tree), f"O={out}", "ARCH=x86_64", *targets]
    try:
        await run(argv, env={**REPRODUCIBLE, **(env or {})}, timeout=timeout, on_line=on_line)
    except ProcessFailed as err:
        raise Internal(f"the kernel in {tree} does not build: {err.message}", detail=err.detail) from err


def find_refused(fragment: str, config: str) -> list[str]:
    """Options of the fragment that the configuration does not have, in the fragment's order."""
    chosen = set(_options(config))
    return [option for option in _options(fragment) if option not in chosen]


def _options(text: str) -> Iterable[str]:
    return (line.strip() for line in text.splitlines() if _OPTION.match(line))


def _check_config(fragment: Path, config: Path, progress: Progress) -> None:
    wanted, chosen = fragment.read_text(), config.read_text()
    lacking = sorted(ESSENTIAL - set(_options(chosen)))
    if lacking:
        raise Invalid(f"this kernel would lack {', '.join(lacking)}", hint=f"{fragment} asks for what it builds")
    refused = find_refused(wanted, chosen)
    if refused:
        progress(f"this source does not take {', '.join(refused)}", 0.1)


def _count_steps(expected: int, progress: Progress) -> Callable[[str], None]:
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if _STEP.match(line):
            done += 1
            progress(f"compiling, {done} of about {max(done, expected)}", 0.1 + 0.88 * min(1.0, done / expected))

    return count
