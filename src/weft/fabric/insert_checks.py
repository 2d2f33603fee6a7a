"""Whether an insert can be what is asked for, before anything is begun."""

from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.creating import check_insert
from weft.fabric.site import Site
from weft.model.errors import Exists, Invalid, WrongState
from weft.model.image import ImageManifest, have_sides
from weft.model.insert import InsertSpec, Mode, find_usual_mode
from weft.model.machine import State
from weft.model.names import PortName, parse_port

ROUTED_HINT = "it goes before network:NETWORK"


class InsertChecks:
    """What has to be so for an appliance to be slipped in."""

    def __init__(self, site: Site, ports: Ports) -> None:
        self._site = site
        self._ports = ports

    def choose_mode(self, spec: InsertSpec) -> InsertSpec:
        """With the mode that is usual for its appliance at its port. Raises NotFound (image)."""
        image = self._find_image(spec)
        return spec.model_copy(update={"mode": find_usual_mode(parse_port(spec.before), image.modes)})

    def check(self, spec: InsertSpec) -> PortName:
        """The port where it goes. Raises NotFound, Exists, Invalid or WrongState."""
        if self._site.shelves.inserts.find(spec.name):
            raise Exists(f"insert {spec.name!r} exists already")
        port = parse_port(spec.before)
        self._ports.network(port)
        if spec.mode is Mode.ROUTED and port.network is None:
            raise Invalid(f"a routed insert takes over a network's gateway, and {port} is none", hint=ROUTED_HINT)
        parked = self._find_parked(spec)
        if parked is None:
            self._check_fresh(spec)
        else:
            self._check_parked(parked, spec, port)
        return port

    def _find_parked(self, spec: InsertSpec) -> MachineRecord | None:
        parked = self._site.shelves.machines.find(spec.appliance)
        return parked if parked is not None and parked.is_appliance and spec.name == spec.appliance else None

    def _find_image(self, spec: InsertSpec) -> ImageManifest:
        parked = self._find_parked(spec)
        return self._site.images.get(parked.spec.image if parked else spec.appliance)

    def _check_fresh(self, spec: InsertSpec) -> None:
        image = self._site.images.get(spec.appliance)
        if not have_sides([nic.role for nic in image.nics]):
            raise Invalid(f"image {spec.appliance!r} is no appliance", hint="it has no network and machine side")
        _check_mode(spec, image)
        if self._site.shelves.machines.find(spec.name):
            raise Exists(f"machine {spec.name!r} exists already", hint="an insert's machine has the insert's name")
        check_insert(self._site, spec, image)

    def _check_parked(self, parked: MachineRecord, spec: InsertSpec, port: PortName) -> None:
        if parked.state is not State.RUNNING:
            raise WrongState(f"parked appliance {parked.name!r} is {parked.state}", hint="start it first")
        image = self._site.images.find(parked.spec.image)
        if image is not None:
            _check_mode(spec, image)
        self._check_mtu(parked, port)

    def _check_mtu(self, parked: MachineRecord, port: PortName) -> None:
        """An appliance takes the frames of the networks that were there when it started: see `guest_config`."""
        network = self._ports.network(port)
        known = [one.spec.mtu for one in self._site.shelves.networks if one.created <= (parked.started or 0.0)]
        if network.spec.mtu > max(known, default=1500):
            what = f"parked appliance {parked.name!r} is too small for the frames of network {network.name!r}"
            raise WrongState(what, hint=f"weft restart {parked.name}")


def _check_mode(spec: InsertSpec, image: ImageManifest) -> None:
    if spec.mode not in image.modes:
        raise Invalid(f"image {image.name!r} is not made for mode {spec.mode}", hint=", ".join(image.modes))
