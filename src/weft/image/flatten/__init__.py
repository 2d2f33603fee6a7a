"""From the layers of an OCI image to one squashfs.

No path of a layer ever touches the host's file system: layers are unpacked to plain tars in nameless files, their
members are laid over each other in memory, and what is left is written as one tar, which `tar2sqfs` packs.
"""

from weft.image.flatten.limits import LIMITS, Limits
from weft.image.flatten.root import write_root

__all__ = ["LIMITS", "Limits", "write_root"]
