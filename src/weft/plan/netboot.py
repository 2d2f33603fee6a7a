"""What is said to machines that ask for their addresses, or boot from their network: by DHCP, and by scripts for iPXE.

Pure. dnsmasq reads what it is told from folders, and a file that is new there by itself; its options are from
dnsmasq(8). iPXE's commands are from https://ipxe.org/cmd; what 9boot asks for is in Plan 9's 9boot(8).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePath

SCRIPT, KERNEL = "boot.ipxe", "kernel"
"""Names of a machine's files: what iPXE does, and what it loads for that."""

_TRIES, _PAUSE = 8, 2
"""How often iPXE loads what it is to boot before it gives up, and seconds in between."""
_SCRIPTS = ".ipxe"
"""What the names of scripts end with."""
_BESIDE = 16 << 20
"""Of memory, for the kernel's own, the firmware's, and what runs first."""
_NO_PROXY = "encap:175,176,1b"
"""iPXE's own option no-pxedhcp: it need not wait for another server that knows what to boot."""


@dataclass(frozen=True, slots=True)
class BootNetwork:
    """A network as machines are told of it: the link with its gateway's address, its range, its name servers."""

    name: str
    link: str
    gateway: IPv4Address
    subnet: IPv4Network
    resolvers: tuple[str, ...]
    mtu: int


@dataclass(frozen=True, slots=True)
class BootClient:
    """A NIC that asks for its address. `file`: what its machine boots, a URL or the name of a file that is to be had
    over TFTP; None: it has booted otherwise.
    """

    name: str
    mac: str
    address: IPv4Address
    file: str | None = None

    @property
    def tag(self) -> str:
        """What dnsmasq knows it by, and the names of its files: the hand-out knows them, too."""
        return f"m{self.mac.replace(':', '')}"


def plan_dnsmasq(network: BootNetwork, hosts: PurePath, options: PurePath, files: PurePath) -> list[str]:
    """dnsmasq's arguments: no names, no leases but those of its hosts, and to each its own files over TFTP.

    Paths are folders as it sees them."""
    return [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=",
        "--log-facility=/dev/null",  # what machines ask for would fill the disk
        "--port=0",
        "--bind-interfaces",
        f"--interface={network.link}",
        f"--dhcp-range={network.subnet.network_address},static,{network.subnet.netmask},infinite",
        "--dhcp-ignore=tag:!known",
        f"--dhcp-hostsdir={hosts}",
        f"--dhcp-optsdir={options}",
        "--dhcp-leasefile=/dev/null",
        "--leasefile-ro",
        "--dhcp-authoritative",  # who asks for an address that it had elsewhere is refused, and does not wait
        "--dhcp-broadcast",  # the other way takes power over the namespace's links
        "--no-ping",
        "--enable-tftp",
        f"--tftp-root={files}",
        "--tftp-unique-root=ip",
    ]


def dump_hosts(clients: Iterable[BootClient]) -> dict[str, str]:
    """Whom it answers, and with which address: a file for each."""
    return {one.tag: f"{one.mac},set:{one.tag},{one.address},{one.name},infinite\n" for one in clients}


def dump_options(network: BootNetwork, clients: Iterable[BootClient]) -> dict[str, str]:
    """What each is told beside its address: a file for all, and one for each that boots, with what it boots."""
    lines = [f"option:router,{network.gateway}\n", f"option:mtu,{network.mtu}\n"]
    lines += [f"option:domain-name,{network.name}\n", f"{_NO_PROXY}\n"]
    if network.resolvers:
        lines.append(f"option:dns-server,{','.join(network.resolvers)}\n")
    own = {one.tag: f"tag:{one.tag},option:bootfile-name,{one.file}\n" for one in clients if one.file}
    return {"all": "".join(lines), **own}


def plan_script(words: str, modules: Sequence[str]) -> str:
    """What iPXE is to do: load the kernel and its modules from beside the script, and start it.

    A server may have ended just then, and comes back: it tries again, but not for ever, since a file may be too large.
    """
    loads = [f"kernel {KERNEL} {words}".rstrip(), *(f"module {name}" for name in modules), "boot"]
    again = ["imgfree", "inc tries", f"iseq ${{tries}} {_TRIES} && exit 1 ||", f"sleep {_PAUSE}", "goto load"]
    return "\n".join(["#!ipxe", ":load", *(f"{load} || goto again" for load in loads), ":again", *again, ""])


def plan_least_memory(kernel: int, root: int) -> int:
    """Bytes of memory that an image of ours boots with from its network, by the sizes of both files.

    iPXE has all of it twice for a moment. Then the kernel has the root twice, and lets no more than half of what is
    left be the initramfs.
    """
    return max(2 * (kernel + root), 3 * root) + _BESIDE


def plan_config(ini: str, *, has_kernel: bool) -> str:
    """A plan9.ini as 9boot wants it, which has to be told what to boot: the machine's kernel, unless it says so."""
    said = any(line.lower().startswith("bootfile=") for line in ini.splitlines())
    return ini if said or not has_kernel else f"{ini}bootfile={KERNEL}\n"


def plan_boot_file(gateway: IPv4Address, loader: str | None = None) -> str:
    """What a machine is told to boot: its user's loader, or the script that is made for it.

    Scripts are iPXE's, which can get them by HTTP, and what they name with them.
    """
    file = loader or SCRIPT
    return f"http://{gateway}/{file}" if file.endswith(_SCRIPTS) else file


def config_name(mac: str) -> str:
    """The file in which 9boot, when a machine with this hardware address runs it, looks for its plan9.ini."""
    return f"cfg/pxe/{mac.replace(':', '')}"
