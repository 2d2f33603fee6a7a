"""The program a machine runs: what was asked for over what its image says, as container engines combine them."""

from collections.abc import Mapping
from dataclasses import dataclass

from weft.model.image import Entry, RestartPolicy
from weft.model.machine import MachineRestart, MachineSpec
from weft.model.signals import signal_number

_IN_GUEST = {
    MachineRestart.NEVER: RestartPolicy.NEVER,
    MachineRestart.ON_FAILURE: RestartPolicy.ON_FAILURE,
    MachineRestart.ALWAYS: RestartPolicy.ALWAYS,
    MachineRestart.UNLESS_STOPPED: RestartPolicy.ALWAYS,
}


@dataclass(frozen=True, slots=True)
class Program:
    """An entry point, ready to be told to a guest. `stop` is a signal's number; `restarts`: at most so many."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: str
    restart: RestartPolicy
    restarts: int | None
    stop: int


def plan_program(spec: MachineSpec, entry: Entry) -> Program:
    """A command takes the place of the image's argv, an entry point that of both. Such a program is not the one the
    image's restart policy was made for.
    """
    own = bool(spec.command) or spec.entrypoint is not None
    argv = spec.command or (() if spec.entrypoint is not None else entry.argv)
    restart = RestartPolicy.NEVER if own else entry.restart
    return Program(
        argv=(entry.entrypoint if spec.entrypoint is None else spec.entrypoint) + argv,
        env={**entry.env, **spec.env},
        cwd=spec.cwd or entry.cwd,
        user=spec.user or entry.user,
        restart=restart if spec.restart is None else _IN_GUEST[spec.restart],
        restarts=spec.max_restarts,
        stop=signal_number(spec.stop_signal or entry.stop_signal),
    )
