"""One real packet: sent by a machine's init, or by the same program where the fabric is the gateway."""

import asyncio
from pathlib import Path

from weft.fabric.runs import Runs
from weft.guest.agent import Agent
from weft.guest.probe import parse_probe, probe_argv
from weft.host.namespace import Namespace
from weft.host.process import ProcessFailed, run
from weft.model.errors import Unavailable
from weft.model.trace import ProbeView
from weft.plan.tracing.room import Packet

SLACK = 5.0
"""Seconds that starting the program may take besides."""


async def probe_machine(runs: Runs, name: str, packet: Packet, seconds: float, sport: int) -> ProbeView:
    """From a machine that runs. Raises NotFound (its init is older), WrongState, Unavailable."""
    agent = await runs.reach(name)
    try:
        async with asyncio.timeout(seconds + SLACK):
            return await _ask(agent, name, packet, seconds, sport)
    except TimeoutError as err:
        raise Unavailable(f"machine {name!r} did not say what came of its packet") from err


async def _ask(agent: Agent, name: str, packet: Packet, seconds: float, sport: int) -> ProbeView:
    async with await agent.exec(_argv(packet, seconds, sport), builtin=True) as process:
        status, out, complaints = await process.collect()
    if status.shell_code:
        raise Unavailable(f"machine {name!r}: {complaints.decode(errors='replace').strip() or 'no answer'}")
    return parse_probe(out)


async def probe_gateway(namespace: Namespace, init: Path, packet: Packet, seconds: float, sport: int) -> ProbeView:
    """From a network's gateway, which the fabric is. Raises Unavailable."""
    argv = [str(init), *_argv(packet, seconds, sport)]
    try:
        return parse_probe((await run(namespace.argv(argv), timeout=seconds + SLACK)).stdout)
    except ProcessFailed as err:
        raise Unavailable(f"no packet can be sent: {err}") from err


def _argv(packet: Packet, seconds: float, sport: int) -> list[str]:
    return list(probe_argv(packet.protocol, str(packet.destination), packet.dport, seconds, sport))
