"""YAML as a tree in which everything knows its place. Pure.

Of YAML 1.2: mappings with texts as keys, lists, scalars of the core schema, anchors, and the merge key `<<`. No tags,
so nothing is ever made but plain data; no second document; no key twice. A text has bounds, also one that is small and
comes to much by its anchors.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 50_000
"""Of the text with every anchor's content in each of its places: about 1,000 machines of 50 lines."""
MERGE = "<<"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where there is one: ten times as fast, and the same marks."""


class Mark(NamedTuple):
    """A place in the text; both count from 1."""

    line: int = 1
    column: int = 1


@dataclass(slots=True)
class Node:
    """A value and its place. `size` counts the nodes it comes to."""

    mark: Mark
    value: "Scalar | dict[str, Entry] | list[Node]"
    size: int = 1

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        return [item.plain() for item in self.value] if isinstance(self.value, list) else self.value


Scalar = str | int | float | bool | None


class Entry(NamedTuple):
    """What a key leads to, and where the key stands."""

    key: Mark
    node: Node


class BadYaml(Exception):
    """It cannot be read any further than this."""

    def __init__(self, mark: Mark, what: str) -> None:
        super().__init__(what)
        self.mark = mark
        self.what = what


@dataclass(slots=True)
class Tree:
    """A text that could be read. `faults` are places and what is wrong there; what is at fault has been left out."""

    root: Node
    faults: list[tuple[Mark, str]] = field(default_factory=list)


def read_tree(text: str) -> Tree:
    """The tree of a text. Raises BadYaml where it ends to be YAML, or is beyond the bounds."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadYaml(Mark(), f"the file is larger than {MAX_BYTES >> 20} MiB")
    builder = _Builder(text)
    try:
        root = builder.build()
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        place = _mark(mark) if mark else Mark()
        context = f" {err.context}" if err.context else ""
        raise BadYaml(place, f"not YAML: {err.problem or 'it cannot be read'}{context}") from err
    except yaml.YAMLError as err:
        raise BadYaml(*_find_character(text, err)) from err
    return Tree(root, builder.faults)


def _find_character(text: str, err: yaml.YAMLError) -> tuple[Mark, str]:
    """The place of a character that no YAML file has."""
    place = getattr(err, "position", None)
    if not isinstance(place, int):
        return Mark(), f"not YAML: {err}"
    before = text[:place]
    return Mark(before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1), "a character that no YAML file has"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


class _Builder:
    """Makes a tree of the parser's events."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=Loader)
        self._anchors: dict[str, Node | None] = {}
        self.faults: list[tuple[Mark, str]] = []

    def build(self) -> Node:
        root = Node(Mark(), None)
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise BadYaml(_mark(event.start_mark), "a second document: a file has one")
            elif isinstance(event, yaml.NodeEvent):
                root = self._build(event, 0)
        return root

    def _build(self, event: yaml.Event, depth: int) -> Node:
        mark = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise BadYaml(mark, f"more than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._find_anchor(event, mark)
        assert isinstance(event, yaml.NodeEvent), event
        if getattr(event, "tag", None) not in (None, "!"):
            self.faults.append((mark, f"tag {getattr(event, 'tag')!r}: tags are not allowed"))  # noqa: B009
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._build_content(event, mark, depth)
        self._check_size(node)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _build_content(self, event: yaml.NodeEvent, mark: Mark, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Node(mark, _resolve(event.value) if event.implicit[0] and not event.style else event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items = [self._build(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)]
            return Node(mark, items, 1 + sum(item.size for item in items))
        return self._build_mapping(mark, depth)

    def _build_mapping(self, mark: Mark, depth: int) -> Node:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for event in self._until(yaml.MappingEndEvent):
            place = _mark(event.start_mark)
            if not isinstance(event, yaml.ScalarEvent):
                self._build(event, depth + 1)
                self.faults.append((place, "a key must be a text"))
            node = self._build(next(self._events), depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                continue
            if event.value == MERGE and not event.style:
                merged = {**self._find_merged(node, place), **merged}
            elif event.value in own:
                line = own[event.value].key.line
                self.faults.append((place, f"key {event.value!r} is there already, in line {line}"))
            else:
                own[event.value] = Entry(place, node)
        entries = {**merged, **own}
        return Node(mark, entries, 1 + sum(entry.node.size for entry in entries.values()))

    def _find_merged(self, node: Node, mark: Mark) -> dict[str, Entry]:
        """The entries that a merge brings in; of several mappings the earlier one counts."""
        several: Sequence[Node] = node.value if isinstance(node.value, list) else [node]
        found: dict[str, Entry] = {}
        for one in several:
            if isinstance(one.value, dict):
                found = {**one.value, **found}
            else:
                self.faults.append((mark, f"{MERGE!r} takes a mapping, or a list of them"))
        return found

    def _find_anchor(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        name = event.anchor or ""
        if name not in self._anchors:
            self.faults.append((mark, f"there is no anchor {name!r} before this"))
        elif self._anchors[name] is None:
            self.faults.append((mark, f"anchor {name!r} is used in itself"))
        return self._anchors.get(name) or Node(mark, None)

    def _check_size(self, node: Node) -> None:
        if node.size > MAX_NODES:
            raise BadYaml(node.mark, f"this comes to more than {MAX_NODES} values, with its anchors")

    def _until(self, end: type[yaml.Event]) -> Iterator[Any]:
        """Events up to the one that ends this collection; whoever gets one takes what belongs to it."""
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


def _resolve(text: str) -> Scalar:
    """A plain scalar. Numbers that would be written otherwise stay texts: `1.10` is not 1.1 where a text is wanted,
    and is read as a number where one is."""
    if text in _WORDS:
        value: Scalar = _WORDS[text]
        return value
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text
