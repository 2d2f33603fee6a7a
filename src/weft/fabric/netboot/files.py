"""The files that a machine boots from which does so from its network. They are there from each start on."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weft.fabric.foreign.kernels import boot_parameters
from weft.fabric.netboot.clients import boot_folder
from weft.fabric.netboot.copies import BootCopies, make_folder, written
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.guest.binary import read_starter
from weft.guest.config import GuestConfig
from weft.guest.initramfs import build_initramfs
from weft.image.multiboot import make_multiboot
from weft.model.boot_files import find_loader, parse_boot_file
from weft.model.image import ImageManifest
from weft.plan.netboot import KERNEL, SCRIPT, config_name, plan_config, plan_script

INI = "plan9.ini"
ROOT_FILE = "/root.image"
"""An image's root file system in the initramfs of a machine that has come over the network."""


@dataclass(frozen=True, slots=True)
class NetLoad:
    """What a machine's firmware loads: a kernel, the words of its command line, its modules by name."""

    kernel: bytes
    words: str = ""
    modules: Mapping[str, bytes] = field(default_factory=dict)


def write_ours(site: Site, machine: MachineRecord, words: str, config: GuestConfig, image: ImageManifest) -> None:
    """A kernel of ours, and an initramfs with the init, what it is told, and the whole root.

    Raises NotFound, Invalid, Unavailable.
    """
    initrd = build_initramfs(site.init, config, {ROOT_FILE: site.images.root_path(image).read_bytes()})
    kernel = site.kernels.get(machine.kernel)
    vmlinux = site.kernels.vmlinux_path(kernel).read_bytes()
    load = NetLoad(make_multiboot(vmlinux, read_starter(), f"kernel {kernel.name!r}"), words, {"initrd": initrd})
    _write(boot_folder(site, machine), _dump(load))


def write_foreign(site: Site, machine: MachineRecord) -> None:
    """What a machine with a system of its own boots: a kernel, or what its user has chosen, or both.

    Raises NotFound, Invalid, Unavailable.
    """
    foreign = machine.spec.foreign
    assert foreign is not None, "it is foreign"
    files: dict[str, bytes] = {}
    ini = boot_parameters(site, machine, foreign.plan9) if foreign.plan9 else ""
    if machine.kernel:
        kernel = site.kernels.vmlinux_path(site.kernels.get(machine.kernel)).read_bytes()
        files |= _dump(NetLoad(kernel, modules={INI: ini.encode()} if foreign.plan9 else {}))
    if foreign.plan9 is not None:
        files[config_name(machine.nics[0].mac)] = plan_config(ini, has_kernel=bool(machine.kernel)).encode()
    if find_loader(foreign.boot_files):
        files.pop(SCRIPT, None)
    folder = boot_folder(site, machine)
    try:
        _write(folder, files)
        BootCopies(folder, site.home, files).make(list(map(parse_boot_file, foreign.boot_files)))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_files(site: Site, machine: MachineRecord) -> None:
    """They are of no use until the next start."""
    if machine.spec.pxe:
        shutil.rmtree(boot_folder(site, machine), ignore_errors=True)


def _dump(load: NetLoad) -> dict[str, bytes]:
    script = plan_script(load.words, list(load.modules))
    return {SCRIPT: script.encode(), KERNEL: load.kernel, **load.modules}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Those of an earlier start go."""
    shutil.rmtree(folder, ignore_errors=True)
    with written():
        make_folder(folder, "")
        for name, content in files.items():
            path = make_folder(folder, name)
            path.write_bytes(content)
            path.chmod(0o644)
