"""Machines in lines of words: what is written can be read again, and comes to the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.filetree.recipes import dump_writes
from weft.filetree.specs import add_line, dump_lines, make_changes, make_request
from weft.filetree.words import split_commands
from weft.model.errors import Invalid

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,7}", fullmatch=True)
NICS = st.fixed_dictionaries({"network": st.just("lan")}, optional={"address": st.just("10.0.0.9")})
PARTS = st.fixed_dictionaries(
    {"image": WORDS.filter(bool)},
    optional={
        "memory": st.sampled_from(["64M", "64M..1G"]),
        "command": st.lists(WORDS, min_size=1),
        "env": st.dictionaries(NAMES, WORDS, min_size=1),
        "labels": st.dictionaries(NAMES, WORDS, min_size=1),
        "settings": st.dictionaries(NAMES, WORDS | st.lists(WORDS, min_size=1), min_size=1),
        "networks": st.just([]) | st.lists(NICS, min_size=1),
        "health": st.fixed_dictionaries({"command": st.lists(WORDS, min_size=1), "interval": st.just("5s")}),
        "publish": st.lists(st.just("8080:80"), min_size=1),
        "hostname": WORDS,
        "foreign": st.fixed_dictionaries(
            {"cdroms": st.lists(WORDS, min_size=1), "plan9": st.fixed_dictionaries({"ini": WORDS.filter(bool)})}
        ),
    },
)  # fmt: skip


@given(PARTS)
def test_what_is_written_is_read(part: dict[str, Any]) -> None:
    draft: dict[str, Any] = {}
    for words in split_commands("\n".join(dump_lines(part))):
        add_line(draft, words)
    assert draft == part


@given(PARTS)
def test_a_recipe_has_an_end_that_is_none_of_its_lines(part: dict[str, Any]) -> None:
    first, *lines, last, nothing = dump_writes("f", dump_lines(part)).split("\n")
    assert first == f"cat >f <<'{last}'"
    assert last not in lines and not nothing


def test_a_machine_with_its_own_system() -> None:
    draft: dict[str, Any] = {}
    text = "image plan9\nprofile pc\nforeign.firmware uefi\nforeign.plan9.ini 'a=b\nc=d\n'\n"
    text += "foreign.plan9.options user=glenda\npxe yes\n"
    for words in split_commands(text):
        add_line(draft, words)
    assert make_request("p", draft)[0] == {
        "name": "p",
        "image": "plan9",
        "profile": "pc",
        "foreign": {"firmware": "uefi", "plan9": {"ini": "a=b\nc=d\n", "options": {"user": "glenda"}}},
        "pxe": True,
    }


def test_what_was_said_otherwise_before() -> None:
    draft: dict[str, Any] = {"image": "x", "health": "none"}
    with pytest.raises(Invalid, match=r"health\.interval: health was said to be 'none' already"):
        add_line(draft, ["health.interval", "5s"])


def test_limits_of_which_nothing_is_said_stay() -> None:
    view: dict[str, Any] = {"name": "web", "image": "web", "labels": {}, "limits": {"disk_read": 5, "cpu_weight": 7}}
    draft: dict[str, Any] = {}
    add_line(draft, ["limits.disk_read", "1M"])
    assert make_changes(draft, view)["limits"] == {"disk_read": 1 << 20, "cpu_weight": 7}
    add_line(draft, ["limits.cpu_weight", "none"])
    assert make_changes(draft, view)["limits"] == {"disk_read": 1 << 20, "cpu_weight": None}
