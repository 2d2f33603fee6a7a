"""Settings against their schema: what is read, what is refused, what is kept, what is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.model.schema import Setting, SettingsSchema
from weft.plan.config_views import view_changes, view_config, view_history
from weft.plan.settings import (
    Fit,
    change_values,
    complete_schema,
    dump_shell,
    effective_values,
    find_changes,
    fit_running,
    fit_values,
    hide_secrets,
    keep_set,
    parse_value,
    require_fit,
)
from weft.plan.settings_file import Document, Stamp, dump_document, dump_revision, parse_document

SCHEMA = complete_schema(
    SettingsSchema(
        version=2,
        settings={
            "mtu": Setting(type="integer", default=1500, minimum=576, maximum=9000, help="Largest packet."),
            "lan.dns": Setting(type="list", help="Name servers.\nThe first is asked first."),
            "lan.mask": Setting(type="network"),
            "mode": Setting(choices=("open", "strict"), default="open"),
            "ratio": Setting(type="number"),
            "loud": Setting(type="boolean", default=False),
            "key": Setting(type="secret"),
        },
    ),
    "fw",
)
STAMP = Stamp(revision=3, schema=2, time=1_700_000_000.0, by="weft config set", why="mtu set")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("mtu", " 0x240 ", 576),
        ("ratio", "1e-3", 0.001),
        ("loud", "Yes", True),
        ("loud", "off", False),
        ("lan.dns", "10.0.0.1, 10.0.0.2,", ("10.0.0.1", "10.0.0.2")),
        ("lan.dns", "", ()),
        ("mode", " open ", " open "),
        ("lan.mask", " 10.0.0.0/8 ", "10.0.0.0/8"),
    ],
)
def test_what_people_type_is_read_by_the_type(name: str, text: str, value: Any) -> None:
    assert parse_value(name, SCHEMA.settings[name], text) == value


@pytest.mark.parametrize(("name", "text"), [("mtu", "much"), ("ratio", ""), ("loud", "perhaps")])
def test_what_cannot_be_read_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(Invalid, match=name):
        parse_value(name, SCHEMA.settings[name], text)


def test_a_change_is_refused_with_everything_that_is_wrong() -> None:
    wanted = {
        "mtu": "3",
        "mode": "x",
        "nothing": "1",
        "loud": "?",
        "ratio": "nan",
        "key": "a\0b",
        "lan.dns": ["\ud800"],
    }
    with pytest.raises(Invalid) as caught:
        change_values(SCHEMA, {}, wanted, ["never"])
    message = caught.value.message
    for part in (
        "mtu: 3 is below",
        "mode: 'x'",
        "nothing: there is no",
        "loud: '?'",
        "ratio: nan",
        "never: ",
        "lan.dns",
    ):
        assert part in message
    assert "key: the value does not fit" in message and "a\\x00b" not in message and "\n" not in message


def test_a_change_sets_and_unsets() -> None:
    changed = change_values(SCHEMA, {"mtu": 600, "mode": "strict"}, {"mtu": 9000, "loud": "on"}, ["mode", "key"])
    assert changed == {"mtu": 9000, "loud": True}


def test_what_is_required_has_to_be_set_at_some_time() -> None:
    schema = SettingsSchema(settings={"a": Setting(required=True), "b": Setting(required=True, default="x")})
    with pytest.raises(Invalid, match="a: has to be set"):
        change_values(schema, {}, {"b": "y"}, [])
    assert change_values(schema, {}, {"a": "1"}, []) == {"a": "1"}


def test_every_appliance_has_a_host_name() -> None:
    assert effective_values(complete_schema(None, "fw"), {}) == {"hostname": "fw"}
    assert effective_values(complete_schema(None, "fw", "asked"), {"hostname": "set"}) == {"hostname": "set"}
    own = SettingsSchema(settings={"a": Setting(), "hostname": Setting(type="hostname", default="own", help="Mine.")})
    assert effective_values(complete_schema(own, "fw"), {}) == {"hostname": "own"}
    assert effective_values(complete_schema(own, "fw", "asked"), {}) == {"hostname": "asked"}
    assert complete_schema(own, "fw").settings["hostname"].help == "Mine."
    assert next(iter(complete_schema(own, "fw").settings)) == "hostname"


def test_what_an_image_does_not_know_is_kept_until_one_does() -> None:
    old = SettingsSchema(version=1, settings={"mtu": Setting(type="integer")})
    fit = fit_values(old, {"mtu": 9000, "loud": True}, {}, 2)
    assert (fit.values, fit.unknown, fit.problems) == ({"mtu": 9000}, {"loud": True}, ())
    assert "version 2" in fit.notes[0] and "loud: not known" in fit.notes[1]
    again = fit_values(SCHEMA, fit.values, fit.unknown, 1)
    assert (again.values, again.unknown) == ({"mtu": 9000, "loud": True}, {})
    assert again.notes == ("loud: known to this image again",)


@pytest.mark.parametrize(
    ("found", "value"),
    [({"mtu": "1400"}, 1400), ({"mode": "strict"}, "strict"), ({"lan.dns": "a"}, ("a",)), ({"ratio": 1}, 1),
     ({"loud": "yes"}, True), ({"key": 5}, "5")],
)  # fmt: skip
def test_another_type_is_converted_where_nothing_is_lost(found: dict[str, Any], value: Any) -> None:
    fit = fit_values(SCHEMA, found, {}, 1)
    assert fit.problems == () and list(fit.values.values()) == [value]
    told = value != next(iter(found.values()))
    assert bool(fit.notes) == told


def test_a_converted_secret_is_not_told() -> None:
    assert "12345" not in fit_values(SCHEMA, {"key": 12345}, {}, 1).notes[0]


@pytest.mark.parametrize("found", [{"mtu": [1]}, {"mtu": True}, {"loud": 1}, {"lan.dns": {}}, {"mtu": 1.5}])
def test_another_type_that_loses_something_is_a_problem(found: dict[str, Any]) -> None:
    fit = fit_values(SCHEMA, found, {}, 2)
    assert fit.problems and fit.values.keys() == found.keys()
    with pytest.raises(Invalid, match=next(iter(found))):
        require_fit(fit)


def test_what_runs_is_set_where_it_is_not_the_default() -> None:
    fit = fit_running(SCHEMA, {"hostname": "fw", "mtu": 1500, "lan.dns": ["a"], "mode": "strict", "key": None})
    assert (fit.values, fit.problems) == ({"lan.dns": ("a",), "mode": "strict"}, ())
    assert keep_set({"mtu": 1500, "mode": "open"}, fit.values, SCHEMA) == {"mtu": 1500, **fit.values}
    assert fit_running(SCHEMA, {"alien": 1}).problems == ("alien: there is no such setting",)


def test_shells_get_assignments() -> None:
    text = dump_shell({"lan.dns": ("a", "b c"), "loud": True, "key": "it's $x", "mtu": 9000})
    assert text.splitlines() == ["WEFT_LAN_DNS='a b c'", "WEFT_LOUD=true", "WEFT_KEY='it'\"'\"'s $x'", "WEFT_MTU=9000"]


def test_secrets_are_stars_and_a_change_of_one_is_told_without_it() -> None:
    assert hide_secrets(SCHEMA, {"key": "x", "mtu": 1}) == {"key": "********", "mtu": 1}
    (change,) = view_changes(SCHEMA, Fit({"key": "old"}), Fit({"key": "new"}))
    assert (change.name, change.before, change.after) == ("key", "********", "********")
    (change,) = view_changes(SCHEMA, Fit(), Fit({"key": "new"}))
    assert (change.before, change.after) == (None, "********")


def test_changes_are_those_that_count() -> None:
    assert view_changes(SCHEMA, Fit({"mtu": 1500}), Fit({})) == []
    assert [change.name for change in find_changes({"a": ("x",), "b": 1}, {"a": ["x"], "b": 2, "c": 3})] == ["b", "c"]


def test_views() -> None:
    saved = Document({"mtu": 9000, "key": "x"}, {"old": 1}, STAMP)
    view = view_config("fw", SCHEMA, saved, None)
    values = {setting.name: (setting.value, setting.is_set) for setting in view.settings}
    assert values["mtu"] == (9000, True) and values["mode"] == ("open", False) and values["key"] == ("********", True)
    assert (view.source, view.revision, view.unknown) == ("saved", 3, {"old": 1})
    assert view_config("fw", SCHEMA, saved, Fit(), secrets=True).source == "running"
    (newest, oldest) = view_history(SCHEMA, {1: Document({"mtu": 1}), 3: saved})
    assert (newest.revision, newest.fits, newest.by) == (3, True, "weft config set")
    assert (oldest.revision, oldest.fits) == (1, False)


# The file


def test_the_file_is_for_people() -> None:
    text = dump_document(SCHEMA, Fit({"mtu": 9000, "lan.dns": ("a",)}, {"old.thing": 5}), STAMP, "machine fw")
    assert text.decode().splitlines()[:12] == [
        "# Settings of machine fw. Lines that begin with # are remarks and defaults.",
        "",
        "# What the machine calls itself.",
        '# hostname = "fw"',
        "",
        "# Largest packet.",
        "mtu = 9000",
        "",
        "# Name servers.",
        "# The first is asked first.",
        'lan.dns = ["a"]',
        "",
    ]
    assert b"# lan.mask = (not set)\n" in text and b'[unknown]\n"old.thing" = 5\n' in text
    document = parse_document(text, "settings.toml")
    assert (document.values, document.unknown) == ({"mtu": 9000, "lan.dns": ["a"]}, {"old.thing": 5})
    assert document.stamp == STAMP and document.whole


def test_people_may_write_it_in_their_own_way() -> None:
    text = b'key = "k"\n[lan]\ndns = ["a"]\nmask = "10.0.0.0/8"\n[unknown]\nold.thing = {}\n'
    document = parse_document(text, "settings.toml")
    assert document.values == {"key": "k", "lan.dns": ["a"], "lan.mask": "10.0.0.0/8"}
    assert (document.unknown, document.stamp, document.whole) == ({"old.thing": {}}, Stamp(), False)
    assert document.fit(SCHEMA).problems == ()


@pytest.mark.parametrize(
    "text", [b"mtu = ", b"\xff", b"a = 1\na = 2\n", b"weft = 1\n", b"unknown = 1\n", b" " * 40_000]
)
def test_what_is_no_settings_file_is_told_in_a_line(text: bytes) -> None:
    with pytest.raises(Invalid, match=r"^settings.toml: [^\n]*$"):
        parse_document(text, "settings.toml")


def test_a_stamp_changed_by_hand_does_not_count() -> None:
    head = b'[weft]\nrevision = "x"\nschema = -1\ntime = "now"\nby = 5\n'
    assert parse_document(head, "f").stamp == Stamp(by="5")


def test_settings_that_are_too_long_are_refused_before_they_are_written() -> None:
    with pytest.raises(Invalid, match="more than"):
        dump_revision(Fit({"key": "x" * 40_000}), STAMP)


def test_a_file_that_was_changed_is_not_whole() -> None:
    text = dump_revision(Fit({"mtu": 9000}), STAMP)
    assert parse_document(text, "f").whole
    assert not parse_document(text.replace(b"9000", b"9001"), "f").whole


names = st.from_regex(r"[a-zA-Z0-9_\- .\"'\u00e4]{1,8}", fullmatch=True)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=8), st.datetimes()
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(names, anything, max_size=4))
def test_whatever_toml_has_is_kept_aside_as_it_is(found: dict[str, Any]) -> None:
    first = parse_document(dump_revision(Fit({}, found), STAMP), "f")
    again = parse_document(dump_revision(Fit({}, first.unknown), STAMP), "f")
    assert again.unknown == first.unknown and again.whole


values = st.fixed_dictionaries(
    {},
    optional={
        "mtu": st.integers(576, 9000),
        "lan.dns": st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))).map(tuple),
        "mode": st.sampled_from(["open", "strict"]),
        "ratio": st.floats(allow_nan=False, allow_infinity=False),
        "loud": st.booleans(),
        "key": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    },
)


@given(values)
def test_settings_come_back_as_they_were(wanted: dict[str, Any]) -> None:
    fit = Fit(wanted)
    for text in (dump_document(SCHEMA, fit, STAMP, "fw"), dump_revision(fit, STAMP)):
        document = parse_document(text, "f")
        assert document.fit(SCHEMA) == fit and document.whole
