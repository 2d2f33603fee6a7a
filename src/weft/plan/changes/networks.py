"""Networks: which come, which go, which become others. Pure."""

from collections.abc import Iterator, Mapping

from weft.model.names import DEFAULT_NETWORK
from weft.model.network import NetworkSpec
from weft.model.steps import Kind, Verb
from weft.plan.changes.fates import Fate
from weft.plan.changes.settle import settle_network
from weft.plan.changes.work import UNNAMED, Work

LIVE = frozenset({"uplink", "dns"})
"""What of a network can be changed while machines are on it. They learn of name servers when they start."""


class NetworkFate(Fate[NetworkSpec]):
    """A network before and after."""

    kind = Kind.NETWORK

    @property
    def is_remade(self) -> bool:
        """Whether it cannot become what it is to be with machines on it."""
        return not LIVE.issuperset(self.changed)


Fates = Mapping[str, NetworkFate]


def overlap(one: NetworkSpec, other: NetworkSpec) -> bool:
    """Whether two networks cannot be there at the same time."""
    pairs = ((one.subnet, other.subnet), (one.subnet6, other.subnet6))
    return any(a.overlaps(b) for a, b in pairs if a is not None and b is not None)


def weigh_networks(work: Work) -> Fates:
    """What becomes of each network that a file names or named."""
    wanted = _find_wanted(work)
    firm = [spec for spec in wanted.values() if spec.subnet]
    fates = {}
    for name, spec in wanted.items():
        before = work.now.networks.get(name)
        fates[name] = NetworkFate(work.name, name, before, _aim(before, spec, firm) if before else spec)
    for name in _find_unused(work, firm):
        if name not in wanted:
            fates[name] = NetworkFate(work.name, name, work.now.networks[name], None)
    return {name: _spare(work, fate) for name, fate in fates.items()}


def _find_wanted(work: Work) -> dict[str, NetworkSpec]:
    """Those that the file names, and the default one if it names that only as a machine's: as it is, or a plain one."""
    wanted = work.file.network_specs()
    if DEFAULT_NETWORK not in wanted and _uses_default(work):
        now = work.now.networks.get(DEFAULT_NETWORK, NetworkSpec(name=DEFAULT_NETWORK))
        wanted[DEFAULT_NETWORK] = now.model_copy(update={"subnet": None})
    return wanted


def _find_unused(work: Work, firm: list[NetworkSpec]) -> Iterator[str]:
    """Those that are named no more; the default one, which comes by itself, if it is in the way."""
    yield from (name for name in work.once.networks if name in work.now.networks)
    default = work.now.networks.get(DEFAULT_NETWORK)
    if default and any(overlap(default, other) for other in firm):
        yield DEFAULT_NETWORK


def _aim(before: NetworkSpec, spec: NetworkSpec, firm: list[NetworkSpec]) -> NetworkSpec:
    """A network keeps the range that it was given, unless that is to be another's."""
    settled = settle_network(before, spec)
    return spec if any(other.name != spec.name and overlap(settled, other) for other in firm) else settled


def _spare(work: Work, fate: NetworkFate) -> NetworkFate:
    """A network with machines on it that no file ever named stays."""
    strangers = [name for name in work.members(fate.name) if name in work.strangers] if fate.goes else []
    if strangers:
        what = f"becomes no other ({'; '.join(fate.why)})" if fate.after else "stays"
        work.note(f"network {fate.name} {what}: {', '.join(strangers)}, which no file names, is on it")
        return NetworkFate(work.name, fate.name, fate.before, fate.before)
    return fate


def _uses_default(work: Work) -> bool:
    return any(DEFAULT_NETWORK in wanted_networks(work, name) for name in work.file.machines)


def wanted_networks(work: Work, name: str) -> set[str]:
    """The networks that a machine is to be on: the default one, if that is for an image to say that is not here."""
    nics = work.scene.nics(name)
    return {DEFAULT_NETWORK} if nics is None else {nic.network for nic in nics}


def add_networks(work: Work, fates: Fates) -> None:
    """The steps of networks. Those that name their range come before those that get a free one."""
    for fate in fates.values():
        _add(work, fate)
    comers = [fate for fate in fates.values() if fate.comes]
    for fate in comers:
        assert fate.after is not None
        firm = [other.made for other in comers if other.after and other.after.subnet]
        for other in fates.values():
            if other.goes and other.before and (other.name == fate.name or overlap(other.before, fate.after)):
                work.draft.need(fate.made, other.gone)
        if fate.after.subnet is None:
            work.draft.need(fate.made, *firm)


def _add(work: Work, fate: NetworkFate) -> None:
    remade = bool(fate.before and fate.after)
    if fate.goes:
        why = [f"it is made anew: {line}" for line in fate.why] if remade else [UNNAMED]
        work.add(Kind.NETWORK, fate.name, Verb.REMOVE, why=tuple(why))
    if fate.comes:
        why = fate.why if remade else ["it is not there"]
        work.add(Kind.NETWORK, fate.name, Verb.CREATE, spec=fate.after, why=tuple(why))
    elif fate.changed:
        work.add(Kind.NETWORK, fate.name, Verb.CHANGE, spec=fate.after, why=tuple(fate.why))
