"""`host/`: the computer below, and the daemon. Memory in bytes; processors that are promised in thousandths."""

from collections.abc import Callable, Mapping
from typing import Any

from weft.filetree.api import Api
from weft.filetree.commands import shows
from weft.filetree.nodes import Make
from weft.filetree.views import View, dump_json
from weft.filetree.words import dump_row

_MEMORY = ("memory", "capacity", "promised", "granted", "free", "used", "cost", "available")
_ROOM = ("promised", "granted", "used", "cost", "lends", "borrows", "gave")
_MACHINE = ("promised", "granted", "lent", "used", "cost", "gave", "cpus_promised", "cpus_granted")


def dump_host(view: View) -> str:
    """Memory: what the host has, is for machines, promised, granted, free, used, held, available; then processors: had,
    promised, granted; whether it is short of memory (1 or 0)."""
    cpus = [view["cpus"], int(view["cpus_promised"] * 1000), view["cpus_granted"]]
    return dump_row([*(int(view[key] or 0) for key in _MEMORY), *cpus, int(view["tight"])])


def dump_room_shares(view: View) -> str:
    """A line for each room: name, machines that run, promised, granted, used, held, lends, borrows, gave."""
    return "".join(
        dump_row([room["name"], room["machines"], *(int(room[key] or 0) for key in _ROOM)]) for room in view["rooms"]
    )


def dump_machine_shares(view: View) -> str:
    """A line for each machine: room, name, promised, granted, lent, used, held, gave, processors promised and granted,
    whether it is idle (1 or 0)."""
    return "".join(
        dump_row([one["room"], one["name"], *(int(one[key] or 0) for key in _MACHINE), int(one["idle"])])
        for one in view["machines"]
    )


def dump_loans(view: View) -> str:
    """A line for each loan: who lends, who borrows, how much."""
    return "".join(dump_row([loan["lender"], loan["borrower"], loan["memory"]]) for loan in view["loans"])


def dump_checks(checks: Any) -> str:
    """A line for each thing: name, whether it is there (1 or 0), what was found, what would help."""
    return "".join(dump_row([one["name"], int(one["ok"]), one["detail"], one.get("hint")]) for one in checks)


def dump_version(view: View) -> str:
    """version, API, accelerator, home, pid, started."""
    names = [view[key] for key in ("version", "api", "accel", "home")]
    return dump_row([*names, view["pid"], int(view["started"])])


def host_files(api: Api) -> Mapping[str, Make]:
    """What there is of the host."""

    def ledger(dump: Callable[[Any], str]) -> Make:
        return shows(api, lambda client: client.host(), dump)

    return {
        "status": ledger(dump_host),
        "room": ledger(dump_room_shares),
        "machine": ledger(dump_machine_shares),
        "loan": ledger(dump_loans),
        "view": ledger(dump_json),
        "doctor": shows(api, lambda client: client.doctor(), dump_checks),
        "metrics": shows(api, lambda client: client.metrics(), lambda sheet: sheet.decode()),
        "version": shows(api, lambda client: client.version(), dump_version),
    }
