"""Where everything is in the tree: commands by the files that take them, columns by the files that show them, and what
does for each command of the command line. The reference is written from it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from weft.filetree import (
    fabric_files,
    floppies,
    host,
    images,
    machine_commands,
    networks,
    readiness,
    rooms,
    storage,
    traces,
    views,
)
from weft.filetree.commands import Command
from weft.filetree.fabric_commands import FABRIC

CONTROLS: Mapping[str, Mapping[str, Command]] = {
    "ctl": FABRIC,
    "machine/NAME/ctl": machine_commands.MACHINE,
    "machine/NAME/port/N/ctl": machine_commands.PORT,
    "network/NAME/port/ctl": machine_commands.PORT,
    "machine/NAME/floppy/ctl": machine_commands.SETTINGS,
    "machine/NAME/firewall/ctl": machine_commands.FIREWALL,
    "network/ctl": networks.WHOLE,
    "network/NAME/ctl": networks.EACH,
    "trace": traces.TRACE,
    "file/N/ctl": fabric_files.FILE,
    "volume/ctl": storage.ALL_VOLUMES,
    "volume/NAME/ctl": storage.EACH_VOLUME,
    "snapshot/NAME/ctl": storage.EACH_SNAPSHOT,
    "pool/ctl": readiness.ALL_POOLS,
    "pool/NAME/ctl": readiness.EACH_POOL,
    "template/ctl": readiness.ALL_TEMPLATES,
    "template/NAME/ctl": readiness.EACH_TEMPLATE,
    "image/ctl": images.ALL_IMAGES,
    "image/NAME/ctl": images.EACH_IMAGE,
    "kernel/ctl": images.ALL_KERNELS,
    "kernel/NAME/ctl": images.EACH_KERNEL,
    "room/ctl": rooms.WHOLE,
    "room/NAME/ctl": rooms.EACH,
}
"""Files that take commands of a table."""
COLUMNS: Mapping[str, Callable[[Any], str]] = {
    "status": views.dump_status,
    "link": views.dump_link,
    "trace": traces.dump_trace,
    "machine/NAME/stats": views.dump_stats,
    "machine/NAME/ps": views.dump_processes,
    "machine/NAME/wait": views.dump_wait,
    "event": views.dump_event,
    "machine/NAME/port/N/status": views.dump_port,
    "machine/NAME/port/N/chain": views.dump_chain,
    "machine/NAME/floppy/settings": floppies.dump_settings,
    "machine/NAME/firewall/rules": floppies.dump_rows,
    "file/N/problem": fabric_files.dump_problems,
    "file/N/plan": fabric_files.dump_plan,
    "file/N/report": fabric_files.dump_step_report,
    "network/status": networks.dump_network,
    "network/NAME/member": networks.dump_members,
    "volume/status": storage.dump_volume,
    "snapshot/status": storage.dump_snapshot,
    "pool/status": readiness.dump_pool,
    "template/status": readiness.dump_template,
    "image/status": images.dump_image,
    "kernel/status": images.dump_kernel,
    "room/status": rooms.dump_room,
    "host/status": host.dump_host,
    "host/room": host.dump_room_shares,
    "host/machine": host.dump_machine_shares,
    "host/loan": host.dump_loans,
    "host/doctor": host.dump_checks,
    "host/version": host.dump_version,
}
"""What a line of a file is. In a directory's own `status` it is the same as in that of all."""
FILES: Mapping[str, str] = {
    "run": "clone, machine/clone",
    "ps": "status, machine/NAME/status",
    "inspect": "machine/NAME/view, machine/NAME/config",
    "port": "machine/NAME/view",
    "logs": "machine/NAME/kmesg, log",
    "exec": "machine/NAME/exec/clone",
    "attach": "machine/NAME/cons, machine/NAME/consctl",
    "console": "machine/NAME/cons, machine/NAME/consctl",
    "cp": "machine/NAME/exec/clone, with a program that reads or writes a tar",
    "top": "machine/NAME/ps",
    "stats": "machine/NAME/stats, machine/NAME/history",
    "elastic show": "machine/NAME/view",
    "elastic explain": "machine/NAME/elastic",
    "wait": "machine/NAME/wait",
    "snapshot ls": "snapshot/status",
    "snapshot inspect": "snapshot/NAME/view",
    "snapshot export": "snapshot/NAME/archive",
    "network ls": "network/status",
    "network inspect": "network/NAME/view",
    "links": "link, machine/NAME/port/N/chain",
    "sniff": "machine/NAME/port/N/pcap, network/NAME/port/pcap",
    "export": "export",
    "plan": "file/N/plan, file/N/problem",
    "diff": "file/N/diff",
    "render": "file/N/render",
    "config show": "machine/NAME/floppy/settings, machine/NAME/floppy/running",
    "config schema": "machine/NAME/floppy/schema",
    "config edit": "machine/NAME/floppy/settings.toml",
    "config export": "machine/NAME/floppy/settings.toml",
    "config import": "machine/NAME/floppy/settings.toml",
    "config diff": "machine/NAME/floppy/diff",
    "config history": "machine/NAME/floppy/history",
    "firewall rules": "machine/NAME/firewall/rules",
    "firewall connections": "machine/NAME/firewall/connections",
    "firewall leases": "machine/NAME/firewall/leases",
    "firewall clients": "machine/NAME/firewall/clients",
    "firewall client add": "machine/NAME/firewall/clone",
    "firewall log": "machine/NAME/firewall/log",
    "pool ls": "pool/status",
    "pool inspect": "pool/NAME/view",
    "volume ls": "volume/status",
    "volume inspect": "volume/NAME/view",
    "image ls": "image/status",
    "image inspect": "image/NAME/view",
    "image schema": "image/NAME/schema",
    "image sbom": "image/NAME/sbom",
    "image export": "image/NAME/archive",
    "kernel ls": "kernel/status",
    "template ls": "template/status",
    "template inspect": "template/NAME/view",
    "room ls": "room/status",
    "room inspect": "room/NAME/view",
    "room logs": "room/NAME/log",
    "room top": "host/room, host/machine",
    "host show": "host/status, host/view",
    "host top": "host/machine, host/loan",
    "doctor": "host/doctor",
    "events": "event, machine/NAME/event",
    "metrics": "host/metrics",
    "version": "host/version",
}
"""What does for a command that is no command of a file."""
ELSEWHERE: Mapping[str, str] = {
    "display": "a screen is nothing for a file",
    "floppy": "images of floppies are files of the host, and not of the fabric",
    "9p": "it speaks to servers of files",
    "serve": "without the daemon there is no tree",
    "completion": "it is for a shell",
}
"""Commands, or groups of them, that are not about the fabric, and why."""


def list_reach() -> Iterator[tuple[str, str]]:
    """Every command of the command line that a file does for, and which."""
    found: dict[str, list[str]] = {command: [files] for command, files in FILES.items()}
    for file, commands in CONTROLS.items():
        for word, command in commands.items():
            for name in command.cli:
                found.setdefault(name, []).append(f"{file}: {word}")
    yield from ((name, ", ".join(files)) for name, files in sorted(found.items()))
