"""`ns`: what makes a thing again, as rc and sh read it in the root of the tree. Pure.

Secrets are left out, and so is whatever was chosen and not asked for: what is made again is given its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from weft.filetree.specs import dump_lines
from weft.filetree.words import join_words


def dump_machine_recipe(name: str, part: Mapping[str, Any], ports: Sequence[Mapping[str, Any]]) -> str:
    """Makes a machine again, as `part` of a fabric file says what it is, with what is inserted at its ports."""
    last = "create" if part.get("state") == "stopped" else "start"
    made = dump_writes("machine/clone", [join_words(["name", name]), *dump_lines(part), last])
    return made + "".join(dump_chain_recipe(f"machine/{name}/port/{port['nic']}", port) for port in ports)


def dump_chain_recipe(folder: str, port: Mapping[str, Any]) -> str:
    """Fills a port's chain again, from the network to the machine."""
    lines = [_dump_insert(insert) for insert in port["chain"]]
    return dump_writes(f"{folder}/ctl", lines) if lines else ""


def dump_writes(file: str, lines: Iterable[str]) -> str:
    """Writes lines to a file, in one piece. Neither shell changes anything before a quoted end."""
    body = "".join(f"{line}\n" for line in lines)
    end = next(end for number in count(1) if (end := "END" * number) not in body.split("\n"))
    return f"cat >{file} <<'{end}'\n{body}{end}\n"


def _dump_insert(insert: Mapping[str, Any]) -> str:
    options = (f"{key}={insert[key]}" for key in ("name", "mode", "fail"))
    return join_words(["insert", insert["appliance"], *options])
