"""What a disk's image is, by its first bytes. We say so, and not QEMU, which believes whatever a guest has written.

Refused is what leads to other files of the host, or what only other programs read.
"""

import struct

from weft.model.errors import Invalid
from weft.model.foreign import DiskFormat

HEAD = 512
"""So many bytes say it."""
_QCOW2 = b"QFI\xfb"
_VERSIONS = (2, 3)
_HEADER = struct.Struct(">4sIQ16xI36xQ")
"""Magic, version, offset of the backing file's name, kind of encryption, features that a reader has to know."""
_EXTERNAL_DATA = 1 << 2
_FOREIGN = (
    (b"KDMV", 0, "VMDK"),
    (b"# Disk DescriptorFile", 0, "VMDK"),
    (b"vhdxfile", 0, "VHDX"),
    (b"conectix", 0, "VHD"),
    (b"QED\0", 0, "QED"),
    (b"\x7f\x10\xda\xbe", 64, "VDI"),
)
"""Images of other programs: what is where in them, and what they are called."""


def parse_format(head: bytes) -> DiskFormat:
    """The format of an image with these first bytes, up to HEAD of them. Raises Invalid, with the rest of a sentence
    about it."""
    if head.startswith(_QCOW2):
        _check_qcow2(head)
        return "qcow2"
    for magic, place, name in _FOREIGN:
        if head.startswith(magic, place):
            raise Invalid(f"is a {name} image: disks are raw or qcow2", hint="qemu-img convert -O qcow2 makes one")
    return "raw"


def _check_qcow2(head: bytes) -> None:
    """The header's layout: docs/interop/qcow2.txt of QEMU. One of version 2 has no features."""
    _, version, backing, encryption, features = _HEADER.unpack(head[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if version not in _VERSIONS:
        raise Invalid(f"is a qcow2 image of version {version}: known are 2 and 3")
    if backing:
        raise Invalid("rests on another file", hint="qemu-img convert -O qcow2 makes one that is whole")
    if version > 2 and features & _EXTERNAL_DATA:
        raise Invalid("has its data in another file", hint="qemu-img convert -O qcow2 makes one that is whole")
    if encryption:
        raise Invalid("is encrypted, and nobody here has its key")
