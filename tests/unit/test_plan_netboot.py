"""What machines are told that boot from their network, and which files they may have."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from weft.host.handout.main import find_file
from weft.plan.netboot import (
    BootClient,
    BootNetwork,
    config_name,
    dump_hosts,
    dump_options,
    plan_boot_file,
    plan_config,
    plan_dnsmasq,
    plan_least_memory,
    plan_script,
)

LAN = BootNetwork("lan", "g1", IPv4Address("10.0.0.1"), IPv4Network("10.0.0.0/24"), ("10.0.0.1", "10.0.0.9"), 1500)
WEB = BootClient("web", "52:57:00:00:00:02", IPv4Address("10.0.0.2"), plan_boot_file(LAN.gateway))
CPU = BootClient("cpu", "52:57:00:00:00:03", IPv4Address("10.0.0.3"), "9bootpxe")
FOLDER = PurePosixPath("/machine/served")


def test_only_machines_on_record_are_answered():
    options = plan_dnsmasq(LAN, FOLDER / "hosts", FOLDER / "options", FOLDER / "files")
    assert {"--dhcp-hostsdir=/machine/served/hosts", "--dhcp-optsdir=/machine/served/options"} <= set(options)
    assert {"--port=0", "--dhcp-ignore=tag:!known", "--interface=g1", "--no-ping", "--dhcp-broadcast"} <= set(options)
    assert "--dhcp-range=10.0.0.0,static,255.255.255.0,infinite" in options
    assert {"--tftp-root=/machine/served/files", "--tftp-unique-root=ip"} <= set(options)
    assert dump_hosts([CPU, WEB]) == {
        "m525700000002": "52:57:00:00:00:02,set:m525700000002,10.0.0.2,web,infinite\n",
        "m525700000003": "52:57:00:00:00:03,set:m525700000003,10.0.0.3,cpu,infinite\n",
    }


def test_each_is_told_its_file():
    told = dump_options(LAN, [CPU, WEB])
    assert told.pop("all").splitlines() == [
        "option:router,10.0.0.1",
        "option:mtu,1500",
        "option:domain-name,lan",
        "encap:175,176,1b",
        "option:dns-server,10.0.0.1,10.0.0.9",
    ]
    assert told == {
        "m525700000002": "tag:m525700000002,option:bootfile-name,http://10.0.0.1/boot.ipxe\n",
        "m525700000003": "tag:m525700000003,option:bootfile-name,9bootpxe\n",
    }


def test_scripts_come_by_http_and_other_loaders_by_tftp():
    assert plan_boot_file(LAN.gateway) == "http://10.0.0.1/boot.ipxe"
    assert plan_boot_file(LAN.gateway, "menus/own.ipxe") == "http://10.0.0.1/menus/own.ipxe"
    assert plan_boot_file(LAN.gateway, "boot/grub/core.0") == "boot/grub/core.0"


def test_who_has_booted_otherwise_is_told_no_file():
    live = BootClient("live", "52:57:00:00:00:04", IPv4Address("10.0.0.4"))
    assert "10.0.0.4,live" in dump_hosts([live])[live.tag]
    assert set(dump_options(LAN, [live])) == {"all"}


def test_scripts_load_what_is_beside_them():
    again = ":again\nimgfree\ninc tries\niseq ${tries} 8 && exit 1 ||\nsleep 2\ngoto load\n"
    loads = "kernel kernel console=ttyS0 quiet || goto again\nmodule initrd || goto again\nboot || goto again\n"
    assert plan_script("console=ttyS0 quiet", ["initrd"]) == f"#!ipxe\n:load\n{loads}{again}"
    assert plan_script("", []) == f"#!ipxe\n:load\nkernel kernel || goto again\nboot || goto again\n{again}"


def test_plan_9_finds_its_file_by_hardware_address():
    assert plan_config("user=glenda\n", has_kernel=True) == "user=glenda\nbootfile=kernel\n"
    assert plan_config("bootfile=9pc\n", has_kernel=True) == "bootfile=9pc\n"
    assert plan_config("user=glenda\n", has_kernel=False) == "user=glenda\n"
    assert config_name("52:57:00:00:00:03") == "cfg/pxe/525700000003"


def test_memory_is_for_what_is_there_twice():
    assert plan_least_memory(10 << 20, 1 << 20) == 38 << 20
    assert plan_least_memory(10 << 20, 30 << 20) == 106 << 20


def test_a_file_is_looked_for_in_the_folder_of_who_asks():
    assert find_file(Path("/files"), "10.0.0.2", "/cfg/pxe/52?x=1") == Path("/files/10.0.0.2/cfg/pxe/52")
    assert find_file(Path("/files"), "10.0.0.2", "/a%20b") == Path("/files/10.0.0.2/a b")
    for target in ("/", "", "x", "/..", "/../10.0.0.3/x", "/%2e%2e/x", "/a//b", "/a/./b", "/a%00", "/%2fetc"):
        assert find_file(Path("/files"), "10.0.0.2", target) is None


@given(st.text(alphabet=st.sampled_from([*"ab./%2fF?#\\\0 é"]), max_size=20))
def test_no_request_leads_out_of_that_folder(target: str):
    own = Path("/files/10.0.0.2")
    found = find_file(Path("/files"), own.name, target)
    assert found is None or (found != own and own in found.parents and ".." not in found.parts)
