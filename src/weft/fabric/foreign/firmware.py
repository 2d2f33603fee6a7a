"""The firmware of machines that boot by UEFI: code that all of them share, and variables that each keeps."""

import os
import shutil
from contextlib import ExitStack
from typing import get_args

from weft.fabric.layout import MachineFiles
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.durable import put_in_place
from weft.host.facts import HostFacts
from weft.host.firmware import PACKAGE, FlashFile, UefiFirmware, choose_firmware, list_firmware
from weft.model.errors import Unavailable
from weft.model.foreign import DiskFormat, Firmware
from weft.model.machine import MachineSpec
from weft.plan.foreign_boot import Flash, Medium

_FORMATS: tuple[DiskFormat, ...] = get_args(DiskFormat)


def check_firmware(facts: HostFacts, spec: MachineSpec) -> None:
    """Whether the host has the firmware that a machine is to boot with. Raises Unavailable."""
    if _wants_uefi(spec):
        _list_firmware(facts, spec)


def open_firmware(stack: ExitStack, site: Site, machine: MachineRecord) -> Flash | None:
    """A machine's firmware, open as long as `stack`; None: it has the board's own. Its variables are made when it has
    none. Raises Unavailable.
    """
    if not _wants_uefi(machine.spec):
        return None
    files = site.layout.machine(machine.name)
    try:
        kept = _find_variables(files)
        firmware = choose_firmware(_list_firmware(site.facts, machine.spec), kept)
        if firmware is None:
            raise Unavailable(
                f"no UEFI firmware on this host can go on with the variables of machine {machine.name!r}",
                hint=f"install the one that it had, or remove {kept and kept.path}: then it begins anew",
            )
        variables = kept or _make_variables(files, firmware.template)
        code = _open(stack, firmware.code, os.O_RDONLY)
        return Flash(code, _open(stack, variables, os.O_RDWR))
    except OSError as err:
        raise Unavailable(f"cannot open the firmware of machine {machine.name!r}: {err.strerror}") from err


def _wants_uefi(spec: MachineSpec) -> bool:
    return spec.foreign is not None and spec.foreign.firmware is Firmware.UEFI


def _list_firmware(facts: HostFacts, spec: MachineSpec) -> list[UefiFirmware]:
    if not (found := list_firmware(spec.profile, facts.qemu_version)):
        raise Unavailable(
            f"there is no UEFI firmware on this host for machine {spec.name!r}",
            hint=f"install {PACKAGE}, which other distributions call edk2-ovmf",
        )
    return found


def _find_variables(files: MachineFiles) -> FlashFile | None:
    kept = (FlashFile(files.variables(one), one) for one in _FORMATS)
    return next((one for one in kept if one.path.is_file()), None)


def _make_variables(files: MachineFiles, template: FlashFile) -> FlashFile:
    """They are there whole, or not at all: whatever is there once is kept."""
    path = files.variables(template.format)
    draft = path.with_suffix(".new")
    try:
        shutil.copyfile(template.path, draft)
        draft.chmod(0o600)
        put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return FlashFile(path, template.format)


def _open(stack: ExitStack, file: FlashFile, mode: int) -> Medium:
    fd = os.open(file.path, mode | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return Medium(fd, file.format, read_only=mode == os.O_RDONLY)
