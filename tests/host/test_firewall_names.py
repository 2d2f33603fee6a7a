"""The firewall's name server, real: it takes what is rendered for it."""

import subprocess
from pathlib import Path

import pytest
from tests.unit.firewall_places import ROUTER

from weft.firewall.names import CONF, check, render
from weft.host.process import program

pytestmark = pytest.mark.host


def test_the_server_takes_what_is_rendered(tmp_path: Path):
    """dnsmasq's own check reads every line."""
    values = {
        "dhcp": ["lan 10.1.0.100-10.1.0.200 12h", "dmz 10.2.0.10-10.2.0.20 infinite"],
        "leases": ["52:57:00:00:00:09 10.1.0.9 printer"],
        "ra": ["lan"],
        "dns.zones": ["lan"],
        "dns.forward": ["9.9.9.9", "corp.example fd00::53 port 5353"],
        "dns.hosts": ["10.1.0.7 files files.acme.test"],
        "dns.block": ["ads.example"],
        "dns.domain": "acme.test",
    }
    assert check(values, ROUTER) == []
    for name, text in render(values, ROUTER).items():
        (tmp_path / name).write_text(text.replace("/run/names", str(tmp_path)).replace("=dnsmasq\n", "=root\n"))
    argv = [program("dnsmasq"), "--test", f"--conf-file={tmp_path / CONF}"]
    tested = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (tested.returncode, tested.stderr.strip()) == (0, "dnsmasq: syntax check OK.")
