"""A machine in lines of words, as it is written to `clone` and read from `config`. Pure.

The keys are those of a machine in a fabric file, parts of parts behind a dot. `networks` has a NIC in each line; `env`,
`labels` and `settings` have KEY=VALUE, and of a setting that is a list KEY+=ITEM for each item; of lists each line adds
to what was said before.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from weft.filetree.words import join_words
from weft.model.errors import Invalid
from weft.model.machine_file import MachineFile
from weft.model.options import parse_nic
from weft.model.ranges import change_sizes, parse_cpus, parse_memory

Draft = dict[str, Any]
"""A machine as far as it was said: plain data, as in a fabric file."""
LISTS = frozenset(
    {
        *("command", "entrypoint", "publish", "volumes", "tmpfs", "health.command", "fabric.expose"),
        *("foreign.cdroms", "foreign.disks"),
    }
)
PAIRS = frozenset({"env", "labels", "settings", "foreign.plan9.options"})
ALIASES = {
    "nic": "networks",
    "network": "networks",
    "volume": "volumes",
    "label": "labels",
    "setting": "settings",
    "cwd": "workdir",
    "expose": "fabric.expose",
}
"""What is one thing may be called so."""
OURS = ("name", "remove")
"""Keys that a fabric file has no need of: what the machine is called, and whether it goes when it ends."""
_ABSENT = frozenset({"build", "pull", "env_file", "settings_file", "after", "state"})
"""What only a fabric file has a use for."""
_SHELL = ["/bin/sh", "-c"]
_POLICIES = {"yes": "auto", "no": "manual"}
"""Whether it grows and shrinks by itself, in the words of `weft run`."""
_SIZES = frozenset({"cpus", "memory", "elastic"})
_PARTS = {
    "workdir": ("cwd",),
    "fabric": ("expose",),
    "networks": ("nics",),
    "no_healthcheck": ("no_health",),
    "volumes": ("mounts",),
    "tmpfs": ("mounts",),
    "restart": ("restart", "max_restarts"),
}
"""Parts of a spec that are called otherwise than the key, or are several."""


def find_key(word: str) -> str:
    """The key that a word stands for. Raises Invalid if there is none."""
    key = ALIASES.get(word, word)
    top = key.partition(".")[0]
    if key not in OURS and (top not in MachineFile.model_fields or top in _ABSENT):
        raise Invalid(f"no command and no key {word!r}", hint="keys are those of a machine in a fabric file")
    return key


def add_line(draft: Draft, words: Sequence[str]) -> None:
    """Says something of a machine: a key, and what it is. Raises Invalid."""
    key, values = find_key(words[0]), list(words[1:])
    if not values:
        raise Invalid(f"{key}: a value is missing")
    if key == "networks":
        _add_nic(draft, values)
    elif key in PAIRS:
        for value in values:
            _add_pair(_place(draft, key).setdefault(key.rpartition(".")[2], {}), key, value)
    elif key in LISTS:
        _place(draft, key).setdefault(key.rpartition(".")[2], []).extend(values)
    elif len(values) > 1:
        raise Invalid(f"{key}: one value is enough: {join_words(values)}", hint="put one with blanks in single quotes")
    else:
        said = _POLICIES.get(values[0], values[0]) if key == "elastic" else values[0]
        _place(draft, key)[key.rpartition(".")[2]] = said


def _place(draft: Draft, key: str) -> Draft:
    """The part that a key with dots leads into. Raises Invalid."""
    for name in key.split(".")[:-1]:
        draft = draft.setdefault(name, {})
        if not isinstance(draft, dict):
            raise Invalid(f"{key}: {name} was said to be {draft!r} already")
    return draft


def _add_nic(draft: Draft, values: Sequence[str]) -> None:
    if list(values) == ["none"]:
        draft["networks"] = []
    else:
        draft.setdefault("networks", []).append(parse_nic(",".join(values)))


def _add_pair(pairs: dict[str, Any], key: str, text: str) -> None:
    name, equals, value = text.partition("=")
    if not name.rstrip("+") or (not equals and key != "labels"):
        raise Invalid(f"{key}: {text!r} is not KEY=VALUE")
    if key == "settings":
        add_setting(pairs, name, value)
    else:
        pairs[name] = value


def add_setting(settings: dict[str, Any], name: str, value: str) -> None:
    """`KEY+` is a list, of which this is one more item."""
    if name.endswith("+"):
        before = settings.get(name[:-1])
        settings[name[:-1]] = [*(before if isinstance(before, list) else []), value]
    else:
        settings[name] = value


def make_request(name: str, draft: Draft) -> tuple[dict[str, Any], dict[str, Any]]:
    """The spec of a new machine for the API, and the settings that it is to begin with. Raises Invalid."""
    if not draft.get("image"):
        raise Invalid(f"machine {name!r}: say which image it boots", hint="image NAME")
    spec = _parse({key: value for key, value in draft.items() if key not in OURS}).to_spec(name)
    removed = {"remove": draft["remove"]} if "remove" in draft else {}
    return spec.model_dump(mode="json", exclude_defaults=True) | removed, draft.get("settings", {})


def make_changes(draft: Draft, before: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of the spec of a machine whose view is `before`; labels and limits of which nothing is said stay. A limit
    that is `none` goes.

    Raises Invalid.
    """
    limits = draft.get("limits") or {}
    gone = [name for name, value in limits.items() if value == "none"]
    other = {key: value for key, value in draft.items() if key not in (*_SIZES, "foreign")}
    if gone:
        other["limits"] = {name: value for name, value in limits.items() if name not in gone}
    changes = _find_sizes(draft) | {key: draft[key] for key in ("foreign",) if key in draft}
    if other:
        spec = _parse({"image": before["image"], **other}).to_spec(before["name"]).model_dump(mode="json")
        changes |= {part: spec[part] for key in other for part in _PARTS.get(key, (key,))}
    for key in ("labels", "limits"):
        if key in changes:
            said = {name: value for name, value in (changes[key] or {}).items() if value is not None}
            changes[key] = {**(before.get(key) or {}), **said} | (dict.fromkeys(gone) if key == "limits" else {})
    return changes


def _find_sizes(draft: Draft) -> dict[str, Any]:
    """Of the policy what is not said stays."""
    cpus, memory, elastic = (draft.get(key) for key in ("cpus", "memory", "elastic"))
    sizes = change_sizes(parse_cpus(cpus) if cpus else None, parse_memory(memory) if memory else None, None)
    if elastic is not None:
        policy = _parse({"image": "any", "elastic": elastic}).elastic
        assert policy is not None
        sizes["elastic"] = {**sizes.get("elastic", {}), "policy": policy.model_dump(mode="json", exclude_unset=True)}
    return sizes


def _parse(draft: Draft) -> MachineFile:
    try:
        return MachineFile.model_validate(draft)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{where}: {first['msg'].removeprefix('Value error, ')}") from err


def dump_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """The lines that say what a machine of a fabric file is; `part` is plain data as the file has it."""
    for key, value in part.items():
        if key not in _ABSENT and value is not None:
            yield from (join_words(words) for words in _dump_key(key, value))


def _dump_key(key: str, value: Any) -> Iterator[list[str]]:
    if key == "networks":
        yield from (["networks", *nic] for nic in _dump_nics(value))
    elif key in PAIRS:
        yield from ([key, pair] for name, item in value.items() for pair in dump_pairs(name, item))
    elif key == "elastic" and isinstance(value, bool):
        yield [key, _POLICIES[_dump(value)]]
    elif key == "health.command" and isinstance(value, str):
        yield [key, *_SHELL, value]
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _dump_key(f"{key}.{name}", item)
    elif isinstance(value, list):
        yield [key, *map(_dump, value)]
    else:
        yield [key, _dump(value)]


def dump_pairs(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list) and value:
        yield from (f"{name}+={_dump(item)}" for item in value)
    else:
        yield f"{name}={_dump(value)}"


def _dump_nics(value: Any) -> Iterator[list[str]]:
    """NICs as a file has them: `none`, names, or names with what is said of each."""
    if value in ("none", []):
        yield ["none"]
        return
    nics = [{"network": name, **(more or {})} for name, more in value.items()] if isinstance(value, dict) else value
    for nic in nics:
        told = {"network": nic} if isinstance(nic, str) else dict(nic)
        yield [told.pop("network"), *(f"{name}={_dump(item)}" for name, item in told.items())]


def _dump(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value == [] else str(value)
