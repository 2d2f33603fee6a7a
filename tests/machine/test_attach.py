"""Entry points with our terminal, our input, or our signals."""

import hashlib
import os
import signal

from tests.machine.fabrics import PATIENCE, TestFabric, wait_for
from tests.unit.terminals import Terminal

SHELL = ["sh", "-c", "PS1='ready> ' exec sh"]


def test_run_gives_the_entry_point_our_terminal_and_attach_takes_it_up_again(fabric: TestFabric) -> None:
    terminal = Terminal(
        dict(os.environ), "run", "-it", "--name", "box", "base", *SHELL, program=fabric.argv, limit=PATIENCE
    )
    terminal.read_until(b"ready> ")
    terminal.resize(33, 111)
    terminal.tell_resize()
    terminal.type(b"while ! stty size | grep -x '33 111'; do :; done; echo of the $((1 + 1))nd size\n")
    terminal.read_until(b"of the 2nd size\r\n")
    terminal.type(b"\x10\x11")
    terminal.read_until(b"detached from box")
    assert terminal.finish() == 0
    terminal = Terminal(dict(os.environ), "attach", "box", program=fabric.argv, limit=PATIENCE)
    terminal.type(b"\n")
    terminal.read_until(b"ready> ")
    terminal.type(b"sleep 1000; echo interrupted with $?\n")
    wait_for(lambda: "sleep 1000" in fabric.exec("box", "ps"), "it sleeps")
    terminal.type(b"\x03")
    terminal.read_until(b"ready> ")
    terminal.type(b"exit 7\n")
    terminal.read_until(b"exit 7\r\n")
    assert terminal.finish() == 7
    assert fabric.text("wait", "box") == "7\n"


def test_run_feeds_any_bytes_to_the_entry_point_and_gives_its_status(fabric: TestFabric) -> None:
    data = bytes(range(256)) * 20 + b"no line feed at the end"
    done = fabric.run("run", "-i", "--rm", "base", "--", "sh", "-c", "sha256sum; exit 5", input=data, check=False)
    assert done.returncode == 5
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest(), done


def test_attach_passes_signals_on(fabric: TestFabric) -> None:
    script = "trap 'echo got it; exit 6' USR1; while :; do echo tick; sleep 0.1; done"
    fabric.run("run", "-d", "--name", "box", "base", "--", "sh", "-c", script)
    process = fabric.start("attach", "--no-stdin", "box")
    assert process.stdout is not None and b"tick" in process.stdout.readline() + process.stdout.readline()
    assert fabric.refusal("attach", "--no-stdin", "box") == "wrong-state"
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.splitlines()[-1], err) == (6, b"got it", b"")
