"""A folder of the host in a machine, by Linux's own client of 9P."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.machine.fabrics import WEFT, open_fabric
from tests.machine.outside import ADDRESS, open_outside

PORT = 5640
MANY = 400
"""Files with long names: more than one message has room for."""
MOUNT = f"mkdir /tmp/m && mount -t 9p -o trans=tcp,version=9p2000,port={PORT},noextend {ADDRESS} /tmp/m"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / "many" / f"{number:0200}").touch()
    (folder / "below" / "file").write_text("from the host\n")
    (folder / "big").write_bytes(os.urandom(5_000_001))
    (folder / "link").symlink_to("/etc/passwd")
    return folder


@contextmanager
def served(enter: list[str], folder: Path) -> Iterator[None]:
    """`weft 9p serve` in the outside world."""
    where = ["--listen", f"tcp!{ADDRESS}!{PORT}", "--no-auth"]
    with subprocess.Popen([*enter, str(WEFT), "9p", "serve", str(folder), *where], stderr=subprocess.PIPE) as server:
        assert server.stderr
        assert server.stderr.readline().decode() == f"weft: serving {folder} at tcp!{ADDRESS}!{PORT}\n"
        try:
            yield
        finally:
            server.terminate()
        assert server.wait() == 0


def test_linux_mounts_a_folder(tmp_path: Path, folder: Path) -> None:
    with (
        open_outside(tmp_path / "www") as enter,
        served(enter, folder),
        open_fabric(tmp_path / "home", prefix=enter) as fabric,
    ):
        fabric.run("network", "create", "lan", "--uplink")
        fabric.run("run", "-d", "--name", "m", "--network", "lan", "base")

        def shell(script: str) -> str:
            return fabric.exec("m", "sh", "-c", f"cd /tmp; {script}")

        shell(MOUNT)
        assert shell("ls m; cat m/below/file") == "below\nbig\nmany\nfrom the host\n"
        assert shell("sha256sum < m/big").split()[0] == hashlib.sha256((folder / "big").read_bytes()).hexdigest()
        assert shell("cat m/link m/none 2>&1; true").count("No such file or directory") == 2
        assert shell("ls m/many | wc -l") == f"{MANY}\n"
        shell("mkdir m/new; head -c 1000000 m/big > m/new/part; mv m/new/part m/new/whole; chmod 640 m/new/whole")
        made = folder / "new" / "whole"
        assert made.read_bytes() == (folder / "big").read_bytes()[:1_000_000]
        assert made.stat().st_mode & 0o777 == 0o640
        assert "File exists" in shell("mkdir m/new 2>&1; true")
        assert "not empty" in shell("rmdir m/new 2>&1; true")
        shell("echo more >> m/below/file; echo short > m/new/whole; rm m/big; sync")
        assert (folder / "below" / "file").read_text() == "from the host\nmore\n"
        assert made.read_text() == "short\n"
        assert not (folder / "big").exists()
        assert shell("rm -r m/new; umount m; ls m") == ""
    assert sorted(path.name for path in folder.iterdir()) == ["below", "link", "many"]
