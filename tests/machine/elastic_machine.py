"""An elastic machine for tests: made, filled with programs that use memory, and asked how large it is."""

import subprocess
from pathlib import Path
from typing import Any

from tests.machine.fabrics import TestFabric, wait_for

MIB, GIB = 1 << 20, 1 << 30
HOG = "/hog"


def build_hog(folder: Path) -> Path:
    """The program of hog.c."""
    path = folder / "hog"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", path, Path(__file__).with_name("hog.c")], check=True)
    return path


class Elastic:
    """A machine that may have between `least` and `most`."""

    def __init__(
        self, fabric: TestFabric, name: str, least: int, most: int, *, wait: bool = True, **spec: object
    ) -> None:
        self.fabric = fabric
        self.name = name
        body = {"name": name, "image": "base", "memory": least, "elastic": {"max_memory": most, "policy": MANUAL}}
        fabric.client.create_machine(body | spec, wait=wait)

    def scale(self, memory: int, *, wait: bool = True) -> dict[str, Any]:
        """Ask for a size; its memory's view, when the request has an outcome if that is waited for."""
        return dict(self.fabric.client.scale_machine(self.name, memory=memory, wait=wait)["memory"])

    def grow(self, memory: int) -> None:
        """To a size that it comes to."""
        self.check(memory, self.scale(memory))

    def check(self, memory: int, view: dict[str, Any] | None = None) -> None:
        """It has exactly so much by everybody's word, and nobody was killed for that."""
        view = view or self.view()
        assert (view["request"]["state"], view["request"]["reason"]) == ("applied", ""), view
        assert (view["granted"], view["qemu"], view["guest"]) == (memory, memory, memory), view
        self.check_well()

    def check_agreed(self, view: dict[str, Any]) -> int:
        """What it has, whatever was asked for: host, QEMU and guest agree on it."""
        assert view["granted"] == view["qemu"] == view["guest"], view
        return int(view["granted"])

    def check_well(self) -> None:
        """Its kernel has killed nobody for want of memory."""
        assert "oom_kill 0\n" in self.exec("grep", "oom_kill ", "/proc/vmstat")

    def view(self) -> dict[str, Any]:
        return dict(self.fabric.client.elastic(self.name)["memory"])

    def settle(self) -> dict[str, Any]:
        """When its request has an outcome."""
        wait_for(lambda: self.view()["request"]["state"] != "converging", "the request has an outcome", say=self.view)
        return self.view()

    def exec(self, *argv: str) -> str:
        return self.fabric.exec(self.name, *argv)

    def start_hog(self, hog: Path, *args: str, wait: bool = True) -> None:
        """Have a program use memory, until it is killed; waits until it does."""
        self.fabric.run("cp", str(hog), f"{self.name}:{HOG}")
        self.exec("sh", "-c", f": >/tmp/said; {HOG} {' '.join(args)} >/tmp/said 2>&1 </dev/null &")
        if wait:
            wait_for(lambda: self.exec("cat", "/tmp/said"), "it has done its work")
            assert self.exec("cat", "/tmp/said") == " ".join(args[:2]) + "\n"

    def end_hog(self) -> None:
        self.exec("killall", "hog")


MANUAL = {"mode": "manual"}
