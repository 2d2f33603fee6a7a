"""How a kernel is told to check a root: the root hash stands on its command line."""

from weft.model.image import Verity

DEVICE = "/dev/dm-0"
"""What the root is then: the only mapped device."""
SECTORS_PER_BLOCK = 8


def verity_arguments(verity: Verity, disk: str = "/dev/vda") -> tuple[str, ...]:
    """Arguments for the kernel (its Documentation/admin-guide/device-mapper/dm-init.rst). `disk` holds data and tree.

    A read of what does not fit its hash fails; nothing else happens, and no wrong data is ever given."""
    table = f"0 {verity.blocks * SECTORS_PER_BLOCK} verity 1 {disk} {disk} 4096 4096 {verity.blocks} {verity.tree}"
    return (f'dm-mod.create="root,,,ro,{table} sha256 {verity.root_hash} {verity.salt}"',)
