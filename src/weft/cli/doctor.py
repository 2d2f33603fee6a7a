"""What this host has and lacks, and how to get the rest."""

import os
import shlex
import subprocess
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.printing import print_json, print_table
from weft.client import Client
from weft.model.errors import Unavailable

_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")


@click.command(short_help="Say what this host has and lacks.")
@click.option("--fix", is_flag=True, help="Install the Debian packages that are missing (as root).")
@format_option
@click.pass_obj
def doctor(face: Face, fix: bool, output: str) -> None:
    """Check what machines need of this host. Exits with status 1 if something is missing that they cannot do without.

    Works without a daemon too: what keeps it from starting is what one wants to know here.
    """
    checks = _examine(face.client())
    if fix and (packages := find_missing(checks)):
        _install(packages)
        checks = _examine(face.client())
    if output == "json":
        print_json(checks)
    else:
        rows = ((_dump_verdict(c), c["name"], c.get("detail"), _dump_hint(c)) for c in checks)
        print_table(("", "CHECK", "FOUND", "HINT"), rows)
    if any(_dump_verdict(check) == "NO" for check in checks):
        raise click.exceptions.Exit(1)


def _examine(client: Client) -> list[dict[str, Any]]:
    try:
        return client.doctor()
    except Unavailable:
        from weft.client.starting import examine_host

        return examine_host(client.home)


def find_missing(checks: list[dict[str, Any]]) -> list[str]:
    """The packages that would put failed checks right."""
    return sorted({package for check in checks if not check["ok"] for package in (check.get("package") or "").split()})


def _dump_verdict(check: dict[str, Any]) -> str:
    """`no` is for what would be nice to have."""
    if check["ok"]:
        return "ok"
    return "NO" if check.get("needed", True) else "no"


def _dump_hint(check: dict[str, Any]) -> str:
    return "" if check["ok"] else check.get("hint") or ""


def _install(packages: list[str]) -> None:
    argv = [*_INSTALL, *packages]
    if os.geteuid() != 0:
        raise Unavailable(f"installing {' '.join(packages)} needs root", hint=f"sudo {shlex.join(argv)}")
    print(f"installing {' '.join(packages)}", flush=True)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as err:
        raise Unavailable(f"there is no apt-get to install {' '.join(packages)} with") from err
    if done.returncode:
        raise Unavailable(
            f"apt-get could not install {' '.join(packages)}",
            hint="apt-get update may help",
            detail="\n".join((done.stdout + done.stderr).splitlines()[-15:]),
        )
