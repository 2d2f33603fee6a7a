"""The init's `cpus` on this host, with a folder of made-up processors in place of sysfs."""

import subprocess
from pathlib import Path

import pytest

from weft.host.process import Completed, program, run

pytestmark = pytest.mark.host
GUEST = Path(__file__).parents[2] / "guest"
SYSFS = "/sys/devices/system/cpu"
HURRY = Path("/sys/kernel/rcu_expedited")


class Guest:
    """Four processors, of which the first cannot be switched; two more are possible."""

    def __init__(self, folder: Path, init: Path, online: str) -> None:
        self.folder = folder
        self._init = init
        for name, text in {"online": online, "present": "0-3", "possible": "0-5"}.items():
            (folder / name).write_text(f"{text}\n")
        (folder / "cpu0").mkdir()
        for cpu in range(1, 4):
            (folder / f"cpu{cpu}").mkdir()
            (folder / f"cpu{cpu}/online").write_text(f"{int(str(cpu) in online)}\n")
        (folder / "hurry").write_text("0\n")

    async def __call__(self, *args: str, stuck: int | None = None) -> Completed:
        """`stuck`: a processor that cannot be switched."""
        command = [program("bwrap"), "--dev-bind", "/", "/", "--bind", str(self.folder), SYSFS]
        command += ["--bind", str(self.folder / "hurry"), str(HURRY)] if HURRY.exists() else []
        if stuck is not None:
            command += ["--ro-bind", str(self.folder / f"cpu{stuck}/online"), f"{SYSFS}/cpu{stuck}/online"]
        return await run([*command, str(self._init), "cpus", *args], check=False)

    @property
    def switches(self) -> str:
        """Of the processors from the second on."""
        return "".join((self.folder / f"cpu{cpu}/online").read_text()[0] for cpu in range(1, 4))


@pytest.fixture(scope="module")
def init() -> Path:
    subprocess.run(["make", "-s", "-C", GUEST], check=True)
    return GUEST / "build/weft-init"


@pytest.fixture
def guest(tmp_path: Path, init: Path) -> Guest:
    return Guest(tmp_path, init, "0,2")


async def test_it_only_counts(guest: Guest) -> None:
    done = await guest()
    assert (done.status, done.text, guest.switches) == (0, "2 4 6\n", "010")


@pytest.mark.parametrize(("wanted", "switches"), [(1, "000"), (2, "010"), (3, "110"), (4, "111")])
async def test_first_ones_come_and_last_ones_go(guest: Guest, wanted: int, switches: str) -> None:
    done = await guest(str(wanted))
    assert (done.status, done.text, guest.switches) == (0, f"{wanted} 4 6\n", switches)


async def test_the_last_goes_first(guest: Guest) -> None:
    await guest("4")
    await guest("2")
    assert guest.switches == "100"
    assert (guest.folder / "hurry").read_text() == "0\n", "its kernel goes on as before"


async def test_more_than_there_are(guest: Guest) -> None:
    done = await guest("5")
    assert (done.status, done.text, guest.switches) == (1, "4 4 6\n", "111")


async def test_one_that_stays(guest: Guest) -> None:
    """Another one goes in its place."""
    await guest("4")
    done = await guest("2", stuck=3)
    assert (done.status, done.text, guest.switches) == (0, "2 4 6\n", "001")
    assert done.stderr == b"cpus: cpu3: Read-only file system\n"
    done = await guest("1", stuck=3)
    assert (done.status, done.text) == (1, "2 4 6\n")


@pytest.mark.parametrize("args", [("0",), ("-1",), ("x",), ("",), ("99999999999999999999",), ("1", "2")])
async def test_nonsense(guest: Guest, args: tuple[str, ...]) -> None:
    done = await guest(*args)
    assert (done.status, done.stdout, guest.switches) == (2, b"", "010")
    assert done.stderr == b"cpus: usage: cpus [N]\n"


async def test_a_list_that_is_none(guest: Guest) -> None:
    for text in ("", "-", "9999999999999", "3-1", "0-99999999", "," * 5000):
        (guest.folder / "present").write_text(text)
        assert (await guest("1")).status in (0, 1)


async def test_no_sysfs(guest: Guest) -> None:
    (guest.folder / "present").unlink()
    done = await guest("1")
    assert (done.status, done.stdout, done.stderr) == (2, b"", f"cpus: {SYSFS}: No such file or directory\n".encode())


async def test_a_kernel_that_cannot(guest: Guest) -> None:
    for cpu in range(1, 4):
        (guest.folder / f"cpu{cpu}/online").unlink()
    done = await guest("3")
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr == f"cpus: {SYSFS}: the kernel has no hot-plug of processors\n".encode()
    (guest.folder / "present").write_text("0\n")
    assert (await guest()).text == "1 1 6\n", "of one that has come to one by hot-plug nobody knows"
