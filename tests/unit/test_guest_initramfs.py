"""The initramfs: read back member by member."""

import stat
from typing import NamedTuple

from weft.guest.config import GuestConfig
from weft.guest.config_parse import parse_guest_config
from weft.guest.initramfs import build_initramfs


class Member(NamedTuple):
    mode: int
    device: tuple[int, int]
    data: bytes


def read_archive(archive: bytes) -> dict[str, Member]:
    """newc: 6 bytes of magic, 13 numbers of 8 hexadecimal digits, name and data each padded to 4."""
    members: dict[str, Member] = {}
    at = 0
    while True:
        assert at % 4 == 0 and archive[at : at + 6] == b"070701"
        numbers = [int(archive[at + 6 + i * 8 : at + 14 + i * 8], 16) for i in range(13)]
        name_at = at + 110
        name = archive[name_at : name_at + numbers[11] - 1].decode()
        assert archive[name_at + numbers[11] - 1] == 0
        data_at = (name_at + numbers[11] + 3) & ~3
        at = (data_at + numbers[6] + 3) & ~3
        if name == "TRAILER!!!":
            assert at == len(archive)
            return members
        members[name] = Member(numbers[1], (numbers[9], numbers[10]), archive[data_at : data_at + numbers[6]])


def test_members() -> None:
    config = GuestConfig(hostname="web")
    members = read_archive(build_initramfs(b"\x7fELF", config, {"/usr/bin/tool": b"tool!"}))
    assert members["init"].data == b"\x7fELF" and members["init"].mode == stat.S_IFREG | 0o755
    assert parse_guest_config(members["weft.conf"].data) == config
    assert members["dev/console"].device == (5, 1) and stat.S_ISCHR(members["dev/console"].mode)
    assert members["usr/bin/tool"].data == b"tool!"
    order = list(members)
    assert order.index("usr") < order.index("usr/bin") < order.index("usr/bin/tool")
    assert all(stat.S_ISDIR(members[name].mode) for name in ("dev", "proc", "sys", "usr", "usr/bin"))


def test_the_same_in_gives_the_same_out() -> None:
    config = GuestConfig(env={"A": "b"})
    assert build_initramfs(b"init", config) == build_initramfs(b"init", config)
