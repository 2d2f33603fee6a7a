"""`port/N`: where NICs meet their networks. The port of a network's gateway has the same files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weft.client.telling import Call
from weft.filetree.api import Api
from weft.filetree.commands import ask, runs
from weft.filetree.files import commands, says, text
from weft.filetree.machine_commands import PORT
from weft.filetree.nodes import Entry, Fixed, Listed, Make
from weft.filetree.streams import stream
from weft.filetree.views import dump_chain, dump_port
from weft.ninep.words import NOT_FOUND, NinepError


def port_folder(api: Api, machine: str) -> Make:
    """The ports of a machine, by the numbers of its NICs."""

    async def names() -> Sequence[str]:
        return [str(view["nic"]) for view in await ask(api, lambda client: client.ports(machine))]

    def make(parent: Entry, name: str) -> Entry:
        return Fixed(
            parent,
            name,
            port_files(
                api,
                f"{machine}:{name}",
                lambda client: client.ports(machine),
                lambda client: client.open_sniff(machine, nic=int(name)),
            ),
        )

    return lambda parent, name: Listed(parent, name, names, make)


def port_files(api: Api, port: str, ask_ports: Call, sniff: Call) -> Mapping[str, Make]:
    """What there is of one port; `ask_ports` asks for it, perhaps with others."""

    def shows(dump: Callable[[Mapping[str, Any]], str]) -> Make:
        async def show() -> str:
            for view in await ask(api, ask_ports):
                if view["port"] == port:
                    return dump(view)
            raise NinepError(NOT_FOUND)

        return text(show)

    return {
        "ctl": commands(runs(api, PORT, port), says(port)),
        "status": shows(dump_port),
        "chain": shows(dump_chain),
        "pcap": stream(lambda: api.open(sniff)),
    }
