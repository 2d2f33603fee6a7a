"""Who can be given the file tree: whoever is known by an address that nobody else can have."""

import pytest

from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, NicSpec
from weft.plan.exposing import ServedNetwork, check_exposed, find_given, is_heard

LAN = NicSpec(network="lan")


def check(*nics: NicSpec, expose: bool = True, **networks: ServedNetwork) -> None:
    given = [{"part": "room"}] if expose else []
    spec = MachineSpec.model_validate({"name": "web", "image": "base", "nics": nics, "expose": given})
    check_exposed(spec, nics, networks)


PLAN9_ROOT = {"image": "nine", "foreign": {"plan9": {}}}


def test_a_root_is_given_like_the_tree() -> None:
    for given in (PLAN9_ROOT, {"image": "plan9", "foreign": {"plan9": {"root": "/srv"}}}):
        spec = MachineSpec.model_validate({"name": "web", "kernel": "9pc", **given})
        assert find_given(spec) == ("a root",)
        check_exposed(spec, (LAN,), {"lan": ServedNetwork()})
        with pytest.raises(Invalid, match="cannot be given a root: it is on no network"):
            check_exposed(spec, (), {})
        with pytest.raises(Invalid, match="could pass for it"):
            check_exposed(spec, (LAN,), {"lan": ServedNetwork(free={"free"})})
    assert find_given(MachineSpec.model_validate({"name": "web", "image": "plan9", "foreign": {"plan9": {}}})) == ()


def test_it_is_on_a_network_of_which_the_fabric_is_the_gateway():
    check(LAN, lan=ServedNetwork())
    check(LAN)  # a network that is not there is told of elsewhere
    with pytest.raises(Invalid, match="'web' cannot be given the file tree: it is on no network"):
        check(NicSpec())
    with pytest.raises(Invalid, match="the gateway of its network is machine wall, not the fabric"):
        check(LAN, lan=ServedNetwork(gateway="wall"))
    check(LAN, NicSpec(network="dmz"), lan=ServedNetwork(gateway="wall"), dmz=ServedNetwork())


def test_it_is_nobody_but_itself():
    with pytest.raises(Invalid, match="its NIC on network 'lan' is not pinned"):
        check(NicSpec(network="lan", pinned=False), lan=ServedNetwork())
    with pytest.raises(Invalid, match="machine 'free' on network 'lan' is not pinned, and could pass for it"):
        check(LAN, lan=ServedNetwork(free={"free"}))
    check(LAN, lan=ServedNetwork(free={"web"}))  # it is pinned from now on


def test_what_it_boots_from_its_network_is_for_nobody_else():
    """It has its settings in it. Its other NICs have no part in that."""
    free = NicSpec(network="dmz", pinned=False)
    spec = MachineSpec.model_validate({"name": "web", "image": "base", "pxe": True, "profile": "q35"})
    assert (is_heard(spec, 0), is_heard(spec, 1)) == (True, False)
    check_exposed(spec, (LAN, free), {"lan": ServedNetwork(), "dmz": ServedNetwork(free={"free"})})
    with pytest.raises(Invalid, match="'web' cannot be given what it boots: machine 'free' on network 'lan'"):
        check_exposed(spec, (LAN, free), {"lan": ServedNetwork(free={"free"}), "dmz": ServedNetwork()})


def test_nobody_comes_who_could_pass_for_it():
    free = NicSpec(network="lan", pinned=False)
    check(free, expose=False, lan=ServedNetwork(heard={"web"}))
    check(LAN, expose=False, lan=ServedNetwork(heard={"db"}))
    with pytest.raises(Invalid, match=r"could pass for 'db', .*: a NIC on network 'lan' has to be pinned"):
        check(free, expose=False, lan=ServedNetwork(heard={"db"}))
