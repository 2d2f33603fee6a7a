"""What is shown of machines: fixed columns, or words. Pure.

Numbers take 11 characters, right-justified, names 28, left-justified, longer ones what they need; a space is between
them. What is not known is 0, for a name a dash. Sizes are in bytes, times in seconds since the epoch.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from weft.filetree.words import dump_pair, dump_row, join_words

View = Mapping[str, Any]


def dump_json(view: Any) -> str:
    """All that is known, as the API has it."""
    return json.dumps(view, indent=2) + "\n"


def dump_status(view: View) -> str:
    """name, state, image, address, pid, memory, cpus, restarts, exit status, created, started, ready, reason."""
    first = next((nic["address"] for nic in view.get("networks", []) if nic.get("address")), None)
    end = view.get("exit") or {}
    numbers = [view.get("pid"), view["memory"], view["cpus"], view.get("restarts"), _exit_status(end)]
    times = [view["created"], view.get("started"), view.get("ready")]
    names = [view["name"], view["state"], view["image"], first]
    return dump_row([*names, *(int(number or 0) for number in numbers + times), view.get("reason")])


def dump_wait(view: View) -> str:
    """How a machine ended, in words: its name, its exit status, and why if that is known."""
    why = (view.get("exit") or {}).get("reason") or view.get("reason") or ""
    return join_words([view["name"], str(_exit_status(view.get("exit") or {})), why]) + "\n"


def _exit_status(end: View) -> int:
    return 128 + int(end["signal"]) if end.get("signal") else int(end.get("code") or 0)


def dump_stats(views: Sequence[View]) -> str:
    """A line of the machine: name, cpus, milliseconds of processor time, bytes of the host that its QEMU holds and that
    it costs, bytes that the guest has and uses, processes, bytes read and written; then one for each NIC: `nic`,
    network, its number, bytes received and sent, forged frames.
    """
    keys = ("resident", "additional", "memory_total", "memory_used", "processes", "read_bytes", "written_bytes")
    lines = []
    for view in views:
        numbers = [view["cpus"], (view["cpu_seconds"] or 0) * 1000, *(view[key] for key in keys)]
        lines.append(dump_row([view["name"], *(int(number or 0) for number in numbers)]))
        lines += [_dump_nic(nic) for nic in view["nics"]]
    return "".join(lines)


def _dump_nic(nic: View) -> str:
    return dump_row(["nic", nic["network"], nic["nic"], nic["received"], nic["sent"], nic["forged"]])


def dump_processes(views: Sequence[View]) -> str:
    """pid, parent, uid, threads, bytes, milliseconds of processor time, state, command."""
    return "".join(
        dump_row(
            [
                *(view[key] for key in ("pid", "parent", "uid", "threads", "resident")),
                int(view["cpu_seconds"] * 1000),
                view["state"],
                view["command"],
            ]
        )
        for view in views
    )


def dump_port(view: View) -> str:
    """port, network, state, inserts in its chain."""
    return dump_row([view["port"], view["network"], view["state"], len(view["chain"])])


def dump_chain(view: View) -> str:
    """From the network to the machine, a line each: name, appliance, mode, fail policy, state, when it expires, why."""
    return "".join(
        dump_row(
            [
                *(insert[key] for key in ("name", "appliance", "mode", "fail", "state")),
                int(insert.get("expires") or 0),
                insert.get("reason"),
            ]
        )
        for insert in view["chain"]
    )


def dump_link(view: View) -> str:
    """port, network, state, and the names of the inserts in its chain, from the network to the machine."""
    return dump_row([view["port"], view["network"], view["state"], *(insert["name"] for insert in view["chain"])])


def dump_event(event: View) -> str:
    """Words: number, time, kind, subject, text, and what else is known of it as KEY=VALUE."""
    words = [str(event["id"]), f"{event['time']:.6f}", event["kind"], event["subject"] or "-", event["text"]]
    return join_words([*words, *(dump_pair(key, value) for key, value in (event.get("data") or {}).items())]) + "\n"
