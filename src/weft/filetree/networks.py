"""`network/`: beside what every kind has, who is on a network, and the port of its gateway."""

from collections.abc import Mapping
from typing import Any

import yaml

from weft.client.client import Client
from weft.filetree.api import Api
from weft.filetree.commands import Command, ask, table
from weft.filetree.events import Events, event_file
from weft.filetree.files import text
from weft.filetree.grammar import Given
from weft.filetree.kinds import Kind
from weft.filetree.nodes import Fixed, Make
from weft.filetree.ports import port_files
from weft.filetree.recipes import dump_chain_recipe, dump_writes
from weft.filetree.views import View
from weft.filetree.words import dump_row, join_words

_SPEC = ("subnet", "subnet6", "gateway", "mtu", "uplink")


def _create(client: Client, _subject: str, given: Given) -> object:
    said: dict[str, Any] = {key: given[key] for key in _SPEC if given[key]}
    if given["dns"]:
        said["dns"] = given["dns"].split(",")
    return client.create_network({"name": given["name"], **said})


WHOLE = table(
    Command(
        "create",
        "NAME [subnet=CIDR] [subnet6=CIDR] [gateway=MACHINE] [dns=SERVERS] [mtu=N] [uplink]",
        "Makes a network; SERVERS are addresses or machines with commas between them.", ("network create",), _create,
    ),
)  # fmt: skip
EACH = table(
    Command(
        "remove", "", "Removes it, if no machine is on it.", ("network rm",),
        lambda client, name, _given: client.remove_network(name),
    ),
)  # fmt: skip


def dump_network(view: View) -> str:
    """name, subnet, subnet6, gateway, the machine that is the gateway, mtu, uplink (1 or 0), members, created."""
    names = [view["name"], view["subnet"], view.get("subnet6"), view["gateway"], view.get("gateway_machine")]
    return dump_row([*names, view["mtu"], int(view["uplink"]), len(view["members"]), int(view["created"])])


def dump_members(view: View) -> str:
    """A line for each NIC: machine, its number, address, address6, hardware address."""
    return "".join(
        dump_row([one["machine"], one["nic"], one["address"], one.get("address6"), one["mac"]])
        for one in view["members"]
    )


def network_files(api: Api, name: str) -> Mapping[str, Make]:
    """What there is of a network beside what every kind has."""

    async def show_members() -> str:
        return dump_members(await ask(api, lambda client: client.network(name)))

    async def show_recipe() -> str:
        file = yaml.safe_load((await ask(api, lambda client: client.export_room(api.room)))["text"])
        part = (file["rooms"][api.room].get("networks") or {}).get(name) or {}
        ports = await ask(api, lambda client: client.ports(network=name))
        return dump_recipe(name, part if isinstance(part, dict) else {"subnet": part}, ports)

    port = port_files(
        api,
        f"network:{name}",
        lambda client: client.ports(network=name),
        lambda client: client.open_sniff(name, gateway=True),
    )
    return {
        "member": text(show_members),
        "event": event_file(Events(api, [name])),
        "ns": text(show_recipe),
        "port": lambda parent, own: Fixed(parent, own, port),
    }


def dump_recipe(name: str, part: Mapping[str, Any], ports: list[View]) -> str:
    """Makes a network again, as `part` of a fabric file says what it is, with the chain of its gateway."""
    said = [f"{key}={part[key]}" for key in _SPEC[:-1] if part.get(key)]
    said += [f"dns={','.join(part['dns'])}"] if part.get("dns") else []
    line = join_words(["create", name, *said, *(["uplink"] if part.get("uplink") else [])])
    chain = [port for port in ports if port["port"] == f"network:{name}"]
    return dump_writes("network/ctl", [line]) + "".join(
        dump_chain_recipe(f"network/{name}/port", port) for port in chain
    )


NETWORKS = Kind(lambda client: client.networks(), dump_network, WHOLE, EACH, more=network_files)
