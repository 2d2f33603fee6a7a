"""plan9.ini: what users say of it, what the fabric knows, and which of them holds."""

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.plan.plan9 import MOST, ROOM, Plan9Machine, Plan9Root, check_setting, parse_ini, plan_ini

GLENDA = Plan9Machine("glenda", nics=("virtio", "e1000e"))
ROOTED = Plan9Machine("fred", ("virtio",), Plan9Root(IPv4Interface("10.87.0.5/24"), IPv4Address("10.87.0.1")))

NAMES = st.text(st.sampled_from("abcXYZ*09"), min_size=1, max_size=5)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), max_size=8)
SETTINGS = st.dictionaries(NAMES, VALUES, max_size=12)


def read_as_9front_does(text: str) -> dict[str, str]:
    """What a kernel makes of the text: the later line holds, names are the same whatever their case."""
    settings = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings[name.lower()] = value
    return settings


def test_a_machine_that_nobody_says_anything_of() -> None:
    assert plan_ini(GLENDA, "", {}) == (
        "console=0\n*acpi=1\nuser=glenda\nsysname=glenda\nservice=terminal\nether0=type=virtio\nether1=type=igbepcie\n"
    )


def test_a_root_over_the_network_is_found_without_a_question() -> None:
    assert plan_ini(ROOTED, "", {}).endswith(
        "fs=10.87.0.1\nauth=10.87.0.1\nnobootprompt=tcp!-g 10.87.0.1 ether /net/ether0 10.87.0.5 255.255.255.0\n"
    )


def test_the_way_to_a_root_is_the_nic_on_whose_network_it_is() -> None:
    root = Plan9Root(IPv4Interface("10.0.0.5/8"), IPv4Address("10.0.0.1"), nic=1)
    assert "ether /net/ether1 10.0.0.5 255.0.0.0\n" in plan_ini(Plan9Machine("fred", ("virtio",) * 2, root), "", {})


def test_the_file_goes_before_the_fabric_and_options_before_both() -> None:
    ini = "# mine\r\nuser=bootes\n\nSERVICE=cpu\nvgasize=1024x768\n"
    text = plan_ini(GLENDA, ini, {"service": "terminal", "*nomp": "1"})
    assert text.splitlines()[:3] == ["user=bootes", "service=terminal", "vgasize=1024x768"]
    assert text.splitlines()[-1] == "*nomp=1"
    assert "sysname=glenda" in text


@given(SETTINGS, SETTINGS)
def test_a_kernel_reads_what_was_said(ini: dict[str, str], options: dict[str, str]) -> None:
    written = "".join(f"{name}={value}\n" for name, value in ini.items())
    text = plan_ini(GLENDA, written, options)
    read = read_as_9front_does(text)
    known = read_as_9front_does(plan_ini(GLENDA, "", {}))
    assert read == known | read_as_9front_does(written) | {name.lower(): value for name, value in options.items()}
    assert len(text.splitlines()) == len(read), "each name once: other kernels take the first line, not the last"
    assert plan_ini(GLENDA, text, {}) == text, "what is whole stays as it is"


@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        settings = list(parse_ini(text))
    except Invalid as err:
        assert "\n" not in err.message
    else:
        assert all(check_setting(name, value) == (name, value) for name, value in settings)


@pytest.mark.parametrize(
    ("ini", "why"),
    [
        ("user=glenda\n[menu]\n", r"line 2: '\[menu\]' is not like name=value"),
        ("=glenda\n", "line 1: '' cannot be a boot parameter"),
        ("us er=glenda\n", "line 1: 'us er' cannot be"),
        ("user=\x07\n", "line 1: the value of user is not one line"),
        ("".join(f"v{n}=\n" for n in range(MOST)), f"takes {MOST} boot parameters, not"),
        (f"v={'x' * ROOM}\n", f"takes {ROOM} bytes"),
    ],
)
def test_what_no_kernel_would_read_right_is_refused(ini: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        plan_ini(GLENDA, ini, {})


@pytest.mark.parametrize(("name", "value"), [("a=b", ""), ("#a", ""), ("", "x"), ("user", "a\nb"), ("user", "a\tb")])
def test_options_are_single_lines(name: str, value: str) -> None:
    with pytest.raises(Invalid):
        plan_ini(GLENDA, "", {name: value})
