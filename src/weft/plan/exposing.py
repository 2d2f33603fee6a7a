"""Whether a machine can be given what is served at gateways: it is known there by its addresses alone. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, NicSpec


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """A network as far as that goes. `gateway`: the machine that is its gateway, if it is not the fabric.

    `free`: machines there that are not held to their addresses; `heard`: those that were given something.
    """

    gateway: str | None = None
    free: Collection[str] = ()
    heard: Collection[str] = ()


def check_exposed(spec: MachineSpec, nics: Sequence[NicSpec], networks: Mapping[str, ServedNetwork]) -> None:
    """Raises Invalid: it would find nothing, it could be anybody, or anybody could be it.

    Networks that are not there are somebody else's to complain of.
    """
    for what in find_given(spec):
        _check_reach(spec, what, nics, _find_places(nics, networks))
    if spec.pxe:
        _check_reach(spec, "what it boots", nics[:1], _find_places(nics[:1], networks))
    places = _find_places(nics, networks)
    free = {nic.network for nic in nics if not nic.pinned}
    for name, network in places.items():
        if name in free and (heard := sorted({*network.heard} - {spec.name})):
            what = f"machine {spec.name!r} could pass for {heard[0]!r}, which is known by its address there"
            raise Invalid(f"{what}: a NIC on network {name!r} has to be pinned")


def is_heard(spec: MachineSpec, nic: int) -> bool:
    """Whether a machine gets something by the address of this NIC, which nobody else may have."""
    return bool(find_given(spec)) or (spec.pxe and nic == 0)


def find_given(spec: MachineSpec) -> tuple[str, ...]:
    """What a machine gets at gateways, by the address of any of its NICs."""
    tree, root = ("the file tree",) if spec.expose else (), ("a root",) if spec.served_root else ()
    return tree + root


def _find_places(nics: Sequence[NicSpec], networks: Mapping[str, ServedNetwork]) -> Mapping[str, ServedNetwork]:
    return {nic.network: networks[nic.network] for nic in nics if nic.network and nic.network in networks}


def _check_reach(spec: MachineSpec, given: str, nics: Sequence[NicSpec], places: Mapping[str, ServedNetwork]) -> None:
    what = f"machine {spec.name!r} cannot be given {given}"
    if not any(nic.network for nic in nics):
        raise Invalid(f"{what}: it is on no network")
    if places and all(network.gateway is not None for network in places.values()):
        gateways = ", ".join(sorted({str(network.gateway) for network in places.values()}))
        raise Invalid(f"{what}: the gateway of its network is machine {gateways}, not the fabric")
    for nic in nics:
        if nic.network is not None and not nic.pinned:
            raise Invalid(f"{what}: its NIC on network {nic.network!r} is not pinned, so it could be anybody")
    for name, network in places.items():
        if free := sorted({*network.free} - {spec.name}):
            raise Invalid(f"{what}: machine {free[0]!r} on network {name!r} is not pinned, and could pass for it")
