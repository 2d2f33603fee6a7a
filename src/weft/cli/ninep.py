"""9P: serving trees of files, and working with those that others serve."""

import click

from weft.cli.lazy import LazyGroup

SECTIONS: dict[str, dict[str, str]] = {
    "Serving": {
        "serve": "weft.cli.ninep_serve:serve",
        "fabric": "weft.cli.ninep_fabric:fabric",
    },
    "Files of a server": {
        "ls": "weft.cli.ninep_files:ls",
        "stat": "weft.cli.ninep_files:stat",
        "read": "weft.cli.ninep_io:read",
        "write": "weft.cli.ninep_io:write",
        "rdwr": "weft.cli.ninep_io:rdwr",
        "create": "weft.cli.ninep_files:create",
        "rm": "weft.cli.ninep_files:rm",
    },
}


@click.group("9p", cls=LazyGroup, sections=SECTIONS, short_help="Serve files over 9P, and use served ones.")
def ninep() -> None:
    """9P2000, the file protocol of Plan 9: serve a folder or the fabric itself, and work with
    files that are served.

    Addresses are Plan 9's: tcp!HOST!PORT or unix!PATH.
    """
