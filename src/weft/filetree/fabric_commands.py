"""What `ctl` at the root takes."""

from collections.abc import Mapping

from weft.filetree.commands import Command, table

FABRIC: Mapping[str, Command] = table(
    Command(
        "shutdown", "[machines]", "Ends the daemon; with `machines`, all machines and networks, too.", ("shutdown",),
        lambda client, _name, given: client.shutdown(machines=given["machines"]),
    ),
)  # fmt: skip
"""Commands for the fabric."""
