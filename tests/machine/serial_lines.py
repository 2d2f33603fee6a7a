"""Serial lines of machines with the test kernel: what they said, and what is typed there."""

from tests.machine.fabrics import TestFabric, wait_for


def log_of(fabric: TestFabric, name: str) -> str:
    """What a machine has said."""
    return (fabric.home / "machines" / name / "serial.log").read_text(errors="replace").replace("\r", "")


def wait_said(fabric: TestFabric, name: str, text: str) -> str:
    """Until a machine has said it; all that it has said."""
    wait_for(lambda: text in log_of(fabric, name), f"{name} says {text!r}", say=lambda: log_of(fabric, name))
    return log_of(fabric, name)


def wait_ready(fabric: TestFabric, name: str) -> None:
    """Until it takes commands."""
    wait_said(fabric, name, "\nready\n% ")


def type_line(fabric: TestFabric, name: str, line: str, answer: str = "") -> None:
    """Type a command, and wait until it is shown and answered."""
    with fabric.client.open_console(name) as console:
        before = len(log_of(fabric, name))
        console.send_input(f"{line}\r".encode())
        wait_for(
            lambda: f"{line}\n{answer}" in log_of(fabric, name)[before:],
            f"{name} answers {line!r}",
            say=lambda: log_of(fabric, name)[before:],
        )


def ask(fabric: TestFabric, name: str, line: str) -> str:
    """What a machine answers to a command: all that it says until it takes the next one."""
    before = len(log_of(fabric, name))
    type_line(fabric, name, line)
    wait_for(lambda: log_of(fabric, name)[before:].endswith("% "), f"{name} has answered {line!r}")
    return log_of(fabric, name)[before:].partition(f"{line}\n")[2].removesuffix("% ")
