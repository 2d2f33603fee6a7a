"""Options of `weft run` as container users write them, and what they become."""

from typing import Any

import pytest

from weft.model.errors import Invalid
from weft.model.machine import MachineSpec
from weft.model.mount import MountSpec
from weft.model.options import (
    parse_health,
    parse_label,
    parse_publish,
    parse_restart,
    parse_tmpfs,
    parse_volume,
)
from weft.model.publish import PublishSpec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("80", {"guest_port": 80, "protocol": "tcp"}),
        ("8080:80", {"guest_port": 80, "protocol": "tcp", "host_port": 8080}),
        ("8080:80/tcp", {"guest_port": 80, "protocol": "tcp", "host_port": 8080}),
        ("5353:53/udp", {"guest_port": 53, "protocol": "udp", "host_port": 5353}),
        ("53/udp", {"guest_port": 53, "protocol": "udp"}),
        ("127.0.0.1:8080:80", {"guest_port": 80, "protocol": "tcp", "host_port": 8080, "host_address": "127.0.0.1"}),
        ("127.0.0.1::80", {"guest_port": 80, "protocol": "tcp", "host_address": "127.0.0.1"}),
    ],
)
def test_published_ports(text: str, spec: dict[str, Any]) -> None:
    assert parse_publish(text) == spec
    PublishSpec.model_validate(spec)


@pytest.mark.parametrize("text", ["", "0", "70000:80", "80:", "x:80", "80/sctp", "1:2:3:4", "a.b:80:80", "80-90:80-90"])
def test_what_is_no_published_port(text: str) -> None:
    with pytest.raises(Invalid, match="published port"):
        parse_publish(text)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("data:/var/lib/data", {"kind": "volume", "source": "data", "target": "/var/lib/data"}),
        ("data:/d:ro", {"kind": "volume", "source": "data", "target": "/d", "read_only": True}),
        ("data:/d:rw,size=2G", {"kind": "volume", "source": "data", "target": "/d", "read_only": False,
                                "size": 2 << 30}),
        ("/srv:/srv", {"kind": "host", "source": "/srv", "target": "/srv"}),
        ("./a/../b:/x:ro", {"kind": "host", "source": "/home/me/b", "target": "/x", "read_only": True}),
        ("..:/x", {"kind": "host", "source": "/home", "target": "/x"}),
    ],
)  # fmt: skip
def test_volumes(text: str, spec: dict[str, Any]) -> None:
    assert parse_volume(text, "/home/me") == spec
    MountSpec.model_validate(spec)


@pytest.mark.parametrize("text", ["/data", "data:", ":/x", "data:/x:z", "/srv:/srv:size=1G", "data:/x:size=much"])
def test_what_is_no_volume(text: str) -> None:
    with pytest.raises(Invalid):
        parse_volume(text, "/")


def test_memory_to_mount() -> None:
    assert parse_tmpfs("/run") == {"kind": "tmpfs", "target": "/run"}
    assert parse_tmpfs("/run:size=64m,ro") == {"kind": "tmpfs", "target": "/run", "size": 64 << 20, "read_only": True}
    with pytest.raises(Invalid, match="unknown option 'mode=1777'"):
        parse_tmpfs("/run:mode=1777")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("no", {"restart": "never"}),
        ("always", {"restart": "always"}),
        ("unless-stopped", {"restart": "unless-stopped"}),
        ("on-failure", {"restart": "on-failure"}),
        ("on-failure:3", {"restart": "on-failure", "max_restarts": 3}),
    ],
)
def test_restart_policies(text: str, spec: dict[str, Any]) -> None:
    assert parse_restart(text) == spec
    MachineSpec.model_validate({"name": "m", "image": "i", **spec})


@pytest.mark.parametrize("text", ["", "sometimes", "always:3", "on-failure:", "on-failure:0", "on-failure:x"])
def test_what_is_no_restart_policy(text: str) -> None:
    with pytest.raises(Invalid, match="restart policy"):
        parse_restart(text)


def test_labels() -> None:
    assert parse_label("tier=front=x") == ("tier", "front=x")
    assert parse_label("alone") == ("alone", "")
    with pytest.raises(Invalid, match="has no key"):
        parse_label("=x")


def test_health_checks() -> None:
    assert parse_health(None, interval=None) is None
    assert parse_health(None, interval=5.0) == {"interval": 5.0}
    assert parse_health("wget -q localhost", retries=2) == {
        "argv": ["/bin/sh", "-c", "wget -q localhost"],
        "retries": 2,
    }
    with pytest.raises(Invalid, match="is empty"):
        parse_health(" ")
