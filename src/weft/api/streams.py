"""Two-way streams over WebSockets: exec, console and display. The messages are described in docs/reference/api.md."""

import asyncio
import contextlib
import json
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weft.api.deps import find_room
from weft.fabric.consoles import Console
from weft.fabric.foreign.displays import Screen
from weft.fabric.room import Room
from weft.guest.agent import Agent
from weft.guest.protocol import NO_TERMINAL
from weft.guest.streams import ExecStream
from weft.model.errors import Invalid, WeftError, WrongState

router = APIRouter(prefix="/machines", tags=["machines"])
STDIN, STDOUT, STDERR = 0, 1, 2
_START_TIMEOUT = 30.0
"""Seconds for a program to be started: a hundred may be asked for at once."""
_STILL_THERE = 5.0
"""Seconds between looks at whether the client of a program that does not read is there."""


class ExecStart(BaseModel):
    """The client's first message."""

    model_config = ConfigDict(extra="forbid")

    argv: list[str] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    tty: tuple[int, int] | None = None
    stdin: bool = False
    detach: bool = False


@router.websocket("/{name}/exec")
async def exec_in(websocket: WebSocket, name: str) -> None:
    """Run a program in a machine."""
    await websocket.accept()
    try:
        start = _parse_start(await websocket.receive_text())
        agent = await find_room(websocket).runs.reach(name)
        process = await agent.exec(
            start.argv,
            env=start.env,
            cwd=start.cwd,
            user=start.user,
            tty=start.tty,
            stdin=start.stdin,
            detached=start.detach,
            timeout=_START_TIMEOUT,
        )
        async with process:
            await websocket.send_json({"started": process.pid})
            if not start.detach:
                await _serve_exec(websocket, process)
    except WeftError as err:
        await _refuse(websocket, err)
    except WebSocketDisconnect:
        return
    await _close(websocket)


@router.websocket("/{name}/console")
async def console(websocket: WebSocket, name: str) -> None:
    """The machine's serial line, both ways. One at a time."""
    await websocket.accept()
    try:
        room = find_room(websocket)
        async with room.consoles.open(name) as line:
            await _until_first(_bytes_out(websocket, line), _console_in(websocket, line, room, name))
    except WeftError as err:
        await _refuse(websocket, err)
    await _close(websocket)


@router.websocket("/{name}/display")
async def display(websocket: WebSocket, name: str) -> None:
    """The machine's screen, keyboard and mouse, by RFB (RFC 6143), for any number of viewers."""
    await websocket.accept()
    try:
        async with find_room(websocket).displays.open(name) as screen:
            await _until_first(_bytes_out(websocket, screen), _bytes_in(websocket, screen))
    except WeftError as err:
        await _refuse(websocket, err)
    await _close(websocket)


def _parse_start(text: str) -> ExecStart:
    try:
        return ExecStart.model_validate_json(text)
    except ValidationError as err:
        raise Invalid(f"exec: {err.errors()[0]['msg']}") from err


async def _serve_exec(websocket: WebSocket, process: ExecStream) -> None:
    """Output to the client until the program ends; input and signals from it meanwhile."""
    incoming = asyncio.create_task(_exec_in(websocket, process))
    outgoing = asyncio.create_task(_exec_out(websocket, process))
    try:
        await asyncio.wait((incoming, outgoing), return_when=asyncio.FIRST_COMPLETED)
        if outgoing.done():
            await outgoing
    finally:
        for task in (incoming, outgoing):
            task.cancel()
        await asyncio.gather(incoming, outgoing, return_exceptions=True)


async def _exec_out(websocket: WebSocket, process: ExecStream) -> None:
    async for stream, data in process:
        await websocket.send_bytes(bytes([STDOUT if stream == "stdout" else STDERR]) + data)
    status = await process.wait()
    await websocket.send_json({"exit": {"code": status.code, "signal": status.signal}})


async def _exec_in(websocket: WebSocket, process: ExecStream) -> None:
    """Until the client hangs up, which ends the program."""
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if (data := message.get("bytes")) is not None:
            if data[:1] == bytes([STDIN]):
                await _write(websocket, process, data[1:])
        else:
            _control(process, _parse_control(message["text"]))


async def _write(websocket: WebSocket, process: ExecStream, data: bytes) -> None:
    """Input for a program that may take its time; dropped when it takes no more.

    Nothing is received meanwhile, so a client that has gone is noticed by an empty message that cannot be sent.
    """
    writing = asyncio.ensure_future(process.write(data))
    try:
        while not (await asyncio.wait([writing], timeout=_STILL_THERE))[0]:
            await websocket.send_bytes(b"")
        with contextlib.suppress(WrongState):  # it has ended: how, is told by its output's end
            await writing
    finally:
        writing.cancel()


def _parse_control(text: str) -> dict[str, Any]:
    try:
        control = json.loads(text)
    except ValueError:
        return {}
    return control if isinstance(control, dict) else {}


def _control(process: ExecStream, control: dict[str, Any]) -> None:
    match control:
        case {"resize": [int(rows), int(cols)]} if _is_size(rows, cols):
            process.resize(rows, cols)
        case {"signal": int(number)} if 1 <= number <= 64:
            process.signal(number)
        case {"eof": True}:
            process.close_stdin()


async def _bytes_out(websocket: WebSocket, device: Console | Screen) -> None:
    while data := await device.read():
        await websocket.send_bytes(data)


async def _bytes_in(websocket: WebSocket, device: Screen) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if data := message.get("bytes"):
            await device.write(data)


async def _console_in(websocket: WebSocket, line: Console, room: Room, name: str) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if data := message.get("bytes"):
            await line.write(data)
        elif text := message.get("text"):
            with contextlib.suppress(WeftError):  # a machine whose agent is not there has only its line
                await _control_entry(room.runs.agent(name), _parse_control(text))


async def _control_entry(agent: Agent, control: dict[str, Any]) -> None:
    """Done when it returns: what is typed next goes another way, and must not overtake it."""
    match control:
        case {"resize": [int(rows), int(cols)]} if _is_size(rows, cols):
            agent.resize_console(rows, cols)
        case {"echo": False}:
            agent.resize_console(NO_TERMINAL, 0)
        case {"signal": int(number)} if 1 <= number <= 64:
            agent.signal_entry(number)
    await agent.ping()


def _is_size(rows: int, cols: int) -> bool:
    return 0 <= rows < NO_TERMINAL and 0 <= cols < NO_TERMINAL


async def _until_first(*works: Any) -> None:
    """Run all; when one ends, end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _refuse(websocket: WebSocket, err: WeftError) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.send_json({"error": err.as_dict()})


async def _close(websocket: WebSocket) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close()
