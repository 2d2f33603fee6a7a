"""Taps: the one kind of link that is made by an ioctl on a file rather than by netlink."""

import errno
import fcntl
import os
import struct

from weft.host.namespace import Namespace
from weft.model.errors import Unavailable, WrongState

_SET_INTERFACE, _SET_PERSISTENT = 0x400454CA, 0x400454CB  # TUNSETIFF, TUNSETPERSIST
_GET_HEADER, _SET_HEADER, _SET_OFFLOADS = 0x800454D7, 0x400454D8, 0x400454D0  # TUNGETVNETHDRSZ and so on
_TAP, _NO_INFO, _HEADER = 0x0002, 0x1000, 0x4000  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR


async def create_tap(namespace: Namespace, name: str) -> None:
    """A tap that stays when its last user closes it."""
    fd = await open_tap(namespace, name)
    try:
        fcntl.ioctl(fd, _SET_PERSISTENT, 1)
    finally:
        os.close(fd)


async def open_tap(namespace: Namespace, name: str) -> int:
    """A descriptor of a tap, which comes to be if it is not there. Raises WrongState when another has it open.

    Frames carry the virtio header, so that segmentation and checksum offload survive.
    """
    fd = await namespace.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _SET_INTERFACE, struct.pack("16sH22x", name.encode(), _TAP | _NO_INFO | _HEADER))
    except OSError as err:
        os.close(fd)
        if err.errno == errno.EBUSY:
            raise WrongState(f"tap {name} is in use by another process") from err
        raise Unavailable(f"tap {name} cannot be opened: {err.strerror}") from err
    return fd


def read_header(tap: int) -> int:
    """How many bytes stand before each frame of an open tap: what its user has agreed on with its guest."""
    return int(struct.unpack("i", fcntl.ioctl(tap, _GET_HEADER, b"\0" * 4))[0])


def restore_header(tap: int, size: int) -> None:
    """Give an open tap that number back when another user has set it up for itself. Offloads are off then."""
    fcntl.ioctl(tap, _SET_OFFLOADS, 0)
    fcntl.ioctl(tap, _SET_HEADER, struct.pack("i", size))
