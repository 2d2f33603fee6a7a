"""What users write about machines, networks and inserts: checked, frozen, and no unknown keys."""

from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from weft.model.errors import Invalid
from weft.model.image import ImageManifest, NicRole, RestartPolicy
from weft.model.insert import FailPolicy, InsertSpec, Mode
from weft.model.machine import MAX_MEMORY, MICROVM_NICS, MIN_MEMORY, MachineSpec, NicSpec, Profile, State
from weft.model.network import MAX_MTU, MIN_MTU, NetworkSpec

MACHINE: dict[str, Any] = {"name": "web", "image": "web"}
NETWORK: dict[str, Any] = {"name": "lan"}
INSERT: dict[str, Any] = {"name": "eye", "appliance": "sniffer", "before": "web"}
DIGEST = "sha256:" + "0" * 64
SPECIAL = ("0.0.0.0/8", "127.8.0.0/16", "169.254.7.0/24", "224.0.0.0/24", "255.255.255.0/24")
IMAGE: dict[str, Any] = {"name": "web", "version": "1", "digest": DIGEST, "size": 1, "created": "2026-01-01T00:00:00Z"}


def test_a_spec_needs_little() -> None:
    machine = MachineSpec(**MACHINE)
    assert (machine.profile, machine.memory, machine.cpus, machine.nics) == (Profile.MICROVM, None, 1, None)
    network = NetworkSpec(**NETWORK)
    assert (network.subnet, network.mtu, network.uplink) == (None, 1500, False)
    insert = InsertSpec(**INSERT)
    assert (insert.mode, insert.fail, insert.position, insert.lifetime) == (Mode.INLINE, FailPolicy.OPEN, None, None)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (MachineSpec, {**MACHINE, "colour": "blue"}),
        (MachineSpec, {**MACHINE, "memory": MIN_MEMORY - 1}),
        (MachineSpec, {**MACHINE, "memory": MAX_MEMORY + 1}),
        (MachineSpec, {**MACHINE, "cpus": 0}),
        (MachineSpec, {**MACHINE, "cpus": 65}),
        (MachineSpec, {**MACHINE, "profile": "vax"}),
        (MachineSpec, {**MACHINE, "nics": [{"role": "wan"}]}),
        (MachineSpec, {"name": "web"}),
        (NetworkSpec, {**NETWORK, "subnet": "10.0.0.1/24"}),
        (NetworkSpec, {**NETWORK, "subnet": "fd00::/64"}),
        (NetworkSpec, {**NETWORK, "mtu": MIN_MTU - 1}),
        (NetworkSpec, {**NETWORK, "mtu": MAX_MTU + 1}),
        (InsertSpec, {**INSERT, "position": -1}),
        (InsertSpec, {**INSERT, "lifetime": 0}),
        (InsertSpec, {**INSERT, "memory": 1}),
        (InsertSpec, {**INSERT, "mode": "sideways"}),
        (ImageManifest, {**IMAGE, "digest": "md5:0"}),
        (ImageManifest, {**IMAGE, "memory": 0}),
        (ImageManifest, {**IMAGE, "nics": [{"name": "Eth0"}]}),
        (ImageManifest, {**IMAGE, "entry": {"user": "a:b:c"}}),
        (ImageManifest, {**IMAGE, "entry": {"restart": "sometimes"}}),
    ],
)
def test_what_is_out_of_range_or_unknown_is_refused(kind: type[BaseModel], data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(data)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (MachineSpec, {**MACHINE, "name": "Web"}, "machine 'Web' is not a valid name"),
        (NetworkSpec, {**NETWORK, "name": ""}, "network '' is not a valid name"),
        (NetworkSpec, {**NETWORK, "subnet": "10.0.0.0/30"}, "the prefix must be between /8 and /29"),
        (NetworkSpec, {**NETWORK, "subnet": "0.0.0.0/0"}, "the prefix must be between /8 and /29"),
        *((NetworkSpec, {**NETWORK, "subnet": subnet}, "addresses that machines cannot have") for subnet in SPECIAL),
        (InsertSpec, {**INSERT, "name": "a b"}, "insert 'a b' is not a valid name"),
        (InsertSpec, {**INSERT, "before": "web:x"}, "the NIC must be a number"),
    ],
)
def test_a_wrong_name_or_range_is_told_in_our_own_words(
    kind: type[BaseModel], data: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        kind.model_validate(data)


def test_a_microvm_has_room_for_so_many_nics() -> None:
    nics = (NicSpec(network="lan"),) * MICROVM_NICS
    assert MachineSpec(**MACHINE, nics=nics).nics == nics
    assert MachineSpec(**MACHINE, nics=(*nics, NicSpec()), profile=Profile.Q35).nics
    with pytest.raises(Invalid, match=f"at most {MICROVM_NICS} NICs"):
        MachineSpec(**MACHINE, nics=(*nics, NicSpec()))


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        MachineSpec(**MACHINE).cpus = 2


def test_an_insert_names_its_port_in_full() -> None:
    assert InsertSpec(**INSERT).before == "web:0"
    assert InsertSpec(**{**INSERT, "before": "web:3"}).before == "web:3"


def test_a_spec_survives_json() -> None:
    nics = (NicSpec(network="lan"), NicSpec(role=NicRole.MACHINE))
    for spec in (
        MachineSpec(**MACHINE, nics=nics, command=("a", "b"), env={"A": "1"}),
        NetworkSpec(**NETWORK, subnet=IPv4Network("10.0.0.0/24")),
        InsertSpec(**INSERT, mode=Mode.COPY, lifetime=1.5),
    ):
        assert type(spec).model_validate_json(spec.model_dump_json()) == spec


def test_a_process_belongs_to_three_states() -> None:
    assert {state for state in State if state.is_live} == {State.STARTING, State.RUNNING, State.STOPPING}


def test_an_image_is_an_ordinary_machine_unless_it_says_otherwise() -> None:
    image = ImageManifest(**IMAGE)
    assert [nic.role for nic in image.nics] == [NicRole.LAN]
    assert image.entry.argv == () and image.entry.restart is RestartPolicy.NEVER and not image.wire
