"""What of a file's wishes is fulfilled already: what a file does not say stays as it is, or as it was given. Pure."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from weft.model.elastic import ElasticPolicy
from weft.model.errors import WeftError
from weft.model.image import ImageManifest, NicRole
from weft.model.insert import InsertSpec
from weft.model.machine import MachineSpec, NicSpec
from weft.model.mount import MountKind, MountSpec
from weft.model.names import DEFAULT_KERNEL, DEFAULT_NETWORK
from weft.model.network import NetworkSpec
from weft.model.reference import parse_image_name
from weft.plan.changes.state import GivenNic, MachineNow
from weft.plan.fabric_file.check_settings import read_values
from weft.plan.foreign import complete_foreign
from weft.plan.settings import complete_schema, effective_values

Image = ImageManifest | None


def settle_network(now: NetworkSpec, wanted: NetworkSpec) -> NetworkSpec:
    """A network with the range that it was given, unless another is wanted."""
    return wanted if wanted.subnet else wanted.model_copy(update={"subnet": now.subnet})


def settle_machine(now: MachineNow, wanted: MachineSpec, image: Image) -> MachineSpec:
    """A machine's spec with every part as it is that is good as it is. `image`: the one wanted, if it is here."""
    wanted = complete_foreign(wanted, image) if image else wanted
    same = {
        name: getattr(now.spec, name)
        for name in MachineSpec.model_fields
        if _SAME.get(name, _is_equal(name))(now, wanted, image)
    }
    return wanted.model_copy(update=same)


def settle_insert(now: InsertSpec, wanted: InsertSpec, image: Image) -> InsertSpec:
    """The same of an insert. Its settings and its place in the chain are compared otherwise."""
    kept = {"name": now.name, "position": now.position, "settings": now.settings}
    if same_image(now.appliance, wanted.appliance, image):
        kept["appliance"] = now.appliance
    if _same_memory(now.memory, wanted.memory, image):
        kept["memory"] = now.memory
    return wanted.model_copy(update=kept)


def same_image(now: str, wanted: str, image: Image) -> bool:
    """Whether two names are one image's."""
    return now in (wanted, image.name if image else None, full_name(wanted))


def full_name(name: str) -> str:
    """What an image is kept by, as far as its name says."""
    try:
        return parse_image_name(name)
    except WeftError:
        return name


def _is_equal(name: str) -> Callable[[MachineNow, MachineSpec, Image], bool]:
    return lambda now, wanted, _image: bool(getattr(now.spec, name) == getattr(wanted, name))


def _same_memory(now: int | None, wanted: int | None, image: Image) -> bool:
    default = image.memory if image else None
    return (now or default) == (wanted or default)


def _find_growth(spec: MachineSpec) -> tuple[int | None, int | None, ElasticPolicy] | None:
    """How far it may grow, where that is further than it is; None: its size is fixed."""
    if spec.elastic is None:
        return None
    cpus = spec.elastic.max_cpus if spec.elastic.max_cpus != spec.cpus else None
    memory = spec.elastic.max_memory if spec.elastic.max_memory != spec.memory else None
    return None if cpus is memory is None else (cpus, memory, spec.elastic.policy)


def want_nics(spec: MachineSpec, image: Image) -> tuple[NicSpec, ...] | None:
    """The NICs that a spec comes to; None when its image would say, and is not here."""
    if spec.nics is not None or image is None:
        return spec.nics
    roles = [nic.role for nic in image.nics]
    if NicRole.NETWORK in roles or NicRole.MACHINE in roles:
        return tuple(NicSpec(role=role) for role in roles)
    return (NicSpec(network=DEFAULT_NETWORK),)


def _same_nics(now: MachineNow, wanted: MachineSpec, image: Image) -> bool:
    if now.spec.nics == wanted.nics:
        return True
    # Of another image nobody asks here: if that changes, the machine starts anew anyway.
    have, want = want_nics(now.spec, image), want_nics(wanted, image)
    if have is None or want is None or len(have) != len(want):
        return False
    return all(_fits(nic, given, wish) for (nic, given), wish in zip(pair_given(have, now.nics), want, strict=True))


def pair_given(nics: Sequence[NicSpec], given: Sequence[GivenNic]) -> list[tuple[NicSpec, GivenNic | None]]:
    """NICs with what they were given."""
    return list(zip_longest(nics, given[: len(nics)]))


def _fits(nic: NicSpec, given: GivenNic | None, wish: NicSpec) -> bool:
    """Whether a NIC is as it is wanted; what is not wanted in particular may be anything."""
    if (nic.network, nic.role, nic.pinned) != (wish.network, wish.role, wish.pinned):
        return False
    return all(
        getattr(wish, key) in (None, getattr(nic, key), getattr(given, key, None))
        for key in ("address", "address6", "mac")
    )


def _same_mounts(now: MachineNow, wanted: MachineSpec, _image: Image) -> bool:
    """The order of mounts means nothing, and how large a volume was to be only when it was made."""
    return _by_place(now.spec.mounts) == _by_place(wanted.mounts)


def _by_place(mounts: Sequence[MountSpec]) -> dict[str, MountSpec]:
    sizeless = {"size": None}
    return {
        mount.target: mount.model_copy(update=sizeless) if mount.kind is MountKind.VOLUME else mount for mount in mounts
    }


_SAME: Mapping[str, Callable[[MachineNow, MachineSpec, Image], bool]] = {
    "image": lambda now, wanted, image: same_image(now.spec.image, wanted.image, image),
    "kernel": lambda now, wanted, _: (now.spec.kernel or DEFAULT_KERNEL) == (wanted.kernel or DEFAULT_KERNEL),
    "memory": lambda now, wanted, image: _same_memory(now.spec.memory, wanted.memory, image),
    "elastic": lambda now, wanted, _: _find_growth(now.spec) == _find_growth(wanted),
    "hostname": lambda now, wanted, _: (now.spec.hostname or wanted.name) == (wanted.hostname or wanted.name),
    "nics": _same_nics,
    "mounts": _same_mounts,
    "remove": lambda _now, _wanted, _image: True,
}
"""Parts that are the same though they are not equal. A file cannot say whether a machine goes when it ends."""


def read_settings(image: Image, name: str, wanted: Mapping[str, Any], hostname: str | None = None) -> dict[str, Any]:
    """A file's settings as values of their types; those of an image that is not here stay as they are written."""
    if image is None or image.settings is None:
        return dict(wanted)
    return read_values(complete_schema(image.settings, name, hostname), wanted, ())[0]


def find_secrets(image: Image) -> set[str]:
    """Settings that nobody is to read."""
    schema = image.settings.settings if image and image.settings else {}
    return {name for name, setting in schema.items() if setting.type == "secret"}


def settle_settings(
    image: Image,
    name: str,
    now: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    once: Sequence[str] = (),
    hostname: str | None = None,
) -> dict[str, Any] | None:
    """What is to be saved: what the file says, and what it never said. None: what counts is the same already.

    A secret that the file says no more stays: it may be told otherwise, and is left out of what is exported.
    """
    gone = {setting for setting in once if setting not in wanted} - find_secrets(image)
    after = {setting: value for setting, value in now.items() if setting not in gone}
    counted = _effective(image, name, {}, hostname)
    for setting, value in read_settings(image, name, wanted, hostname).items():
        if setting in now or _plain(value) != counted.get(setting):  # what is a default anyway need not be saved
            after[setting] = value
    if _effective(image, name, now, hostname) == _effective(image, name, after, hostname):
        return None
    return after


def _effective(image: Image, name: str, values: Mapping[str, Any], hostname: str | None) -> dict[str, Any]:
    schema = complete_schema(image.settings if image else None, name, hostname)
    # What an image does not know does not count; of one that is not here it is not known what it knows.
    strangers = {key: value for key, value in values.items() if image is None and key not in schema.settings}
    counted = {**effective_values(schema, values), **strangers}
    return {key: _plain(value) for key, value in counted.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
