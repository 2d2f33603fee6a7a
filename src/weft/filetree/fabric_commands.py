"""What `ctl` at the root takes."""

from collections.abc import Mapping

from weft.filetree.archives import send_archive
from weft.filetree.commands import Command, table
from weft.filetree.machine_commands import ignore

FABRIC: Mapping[str, Command] = table(
    Command(
        "import", "FILE [name=NAME]", "Takes a snapshot in, from its archive.", ("snapshot import",),
        lambda client, _name, given: client.import_snapshot(send_archive(given["file"]), ignore, name=given["name"]),
    ),
    Command(
        "shutdown", "[machines]", "Ends the daemon; with `machines`, all machines and networks, too.", ("shutdown",),
        lambda client, _name, given: client.shutdown(machines=given["machines"]),
    ),
)  # fmt: skip
"""Commands for the fabric."""
