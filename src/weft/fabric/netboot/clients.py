"""Which machines ask a network for their addresses or boot from it, and how it is to be served to them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from weft.fabric.nics import name_servers
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.host.netboot import files_of
from weft.model.boot_files import find_loader
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, NicSpec
from weft.model.names import DEFAULT_KERNEL
from weft.model.units import dump_size
from weft.plan.netboot import BootClient, BootNetwork, plan_boot_file, plan_least_memory


def asks(machine: MachineRecord) -> bool:
    """Whether a machine asks for its addresses: nothing of ours in it knows them."""
    return machine.spec.pxe or machine.spec.is_foreign


def find_clients(site: Site, network: NetworkRecord) -> Iterator[BootClient]:
    """All NICs that ask on a network."""
    for machine in site.shelves.machines:
        if asks(machine) and not machine.removing and network.has_gateway_port:
            yield from _find_nics(machine, network)


def _find_nics(machine: MachineRecord, network: NetworkRecord) -> Iterator[BootClient]:
    """A machine boots from its first NIC. Those of images of ours have told their others by their init."""
    for number, nic in enumerate(machine.nics):
        boots = machine.spec.pxe and number == 0
        if nic.network == network.name and nic.address is not None and (boots or machine.spec.is_foreign):
            loader = find_loader(machine.spec.foreign.boot_files) if machine.spec.foreign else None
            file = plan_boot_file(network.gateway, loader) if boots else None
            yield BootClient(machine.name, nic.mac, nic.address, file)


def describe_network(site: Site, network: NetworkRecord) -> BootNetwork:
    """A network as its machines are told of it."""
    return BootNetwork(
        name=network.name,
        link=network.gateway_link,
        gateway=network.gateway,
        subnet=network.subnet,
        resolvers=name_servers(site, "", [network]),
        mtu=network.spec.mtu,
    )


def boot_folder(site: Site, machine: MachineRecord) -> Path:
    """Where a machine's files are to be that it boots from."""
    nic = machine.nics[0]
    assert nic.network is not None, "it was checked"
    return files_of(site.layout.netboot(nic.network), str(nic.address))


def check_memory(site: Site, spec: MachineSpec) -> None:
    """Whether an image of ours has the memory to come over the network whole. Raises Invalid, NotFound."""
    if not spec.pxe or spec.is_foreign:
        return
    image, kernel = site.images.get(spec.image), site.kernels.get(spec.kernel or DEFAULT_KERNEL)
    sizes = (path.stat().st_size for path in (site.kernels.vmlinux_path(kernel), site.images.root_path(image)))
    least = plan_least_memory(*sizes)
    if (spec.memory or image.memory) < least:
        raise Invalid(
            f"machine {spec.name!r} needs {dump_size(-(-least >> 20) << 20)} of memory to boot from its network",
            hint="its image is in its memory, and twice so while it boots",
        )


def check_place(site: Site, spec: MachineSpec, nics: Sequence[NicSpec]) -> None:
    """Whether a machine could boot from its first network, if it is to. Raises Invalid."""
    if not spec.pxe:
        return
    if not nics or nics[0].network is None:
        what = f"machine {spec.name!r} cannot boot from its network: its first NIC is on none"
        raise Invalid(what, hint="--network")
    network = site.shelves.networks.find(nics[0].network)  # the default one is made when it is wanted
    if network is not None and not network.has_gateway_port:
        raise Invalid(f"machine {spec.name!r} cannot boot from network {network.name!r}: a machine is its gateway")
    if not nics[0].pinned:
        raise Invalid(
            f"machine {spec.name!r} cannot boot from its network: whoever is not pinned could be another",
            hint="pin its first NIC",
        )
