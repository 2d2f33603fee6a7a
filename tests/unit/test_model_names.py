"""Names and ports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.model.names import PortName, parse_name, parse_port

GOOD = ["a", "7", "web", "web-1", "a--b", "x" * 63]
BAD = ["", "-a", "a-", "Web", "wéb", "a.b", "a_b", "a b", "a/b", "..", "a\n", "x" * 64]


@pytest.mark.parametrize("name", GOOD)
def test_a_dns_label_is_a_name(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_none(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_name(name, "machine")
    assert str(caught.value).startswith(f"machine {name!r} is not a valid name (")


@pytest.mark.parametrize(
    ("text", "port"), [("web", PortName("web")), ("web:0", PortName("web")), ("web:12", PortName("web", 12))]
)
def test_a_port_is_a_machine_and_a_nic(text: str, port: PortName) -> None:
    assert parse_port(text) == port


def test_a_port_is_the_gateway_of_a_network() -> None:
    port = parse_port("network:lan")
    assert port == PortName("", network="lan")
    assert str(port) == "network:lan"
    assert parse_port("network:1") == PortName("network", 1)


@pytest.mark.parametrize("text", ["", ":1", "web:", "web:x", "web:-1", "web:100", "web:1:2", "Web:1"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_port(text)


@given(st.sampled_from(GOOD), st.integers(min_value=0, max_value=99))
def test_a_port_comes_back(machine: str, nic: int) -> None:
    port = PortName(machine, nic)
    assert parse_port(str(port)) == port


@given(st.text())
def test_no_text_does_anything_else(text: str) -> None:
    for parse in (parse_name, parse_port):
        try:
            parse(text)
        except Invalid as err:
            assert "\n" not in str(err)
