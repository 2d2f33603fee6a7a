"""Uplink, names and rules, in a world made for them; see outside.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT, needs_tun

from weft.host.namespace import Namespace
from weft.host.nft import load_ruleset
from weft.host.uplink import start_uplink
from weft.model.errors import Internal, Unavailable
from weft.plan.ruleset import RuledNetwork, plan_ruleset

pytestmark = pytest.mark.host
REPOSITORY = Path(__file__).parents[2]


@needs_tun
def test_what_machines_reach(tmp_path: Path):
    user = [] if AS_ROOT else ["--user", "--map-root-user"]
    argv = ["unshare", *user, "--net", "--", sys.executable, "-m", "tests.host.outside", str(tmp_path)]
    env = {**os.environ, "AS_ROOT": "1" if AS_ROOT else ""}
    done = subprocess.run(argv, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "before the uplink": "no",
        "uplink is adopted": "True",
        "name server is adopted": "True",
        "open: web outside": "yes",
        "open: own gateway pings": "yes",
        "open: own gateway pings by its other name": "yes",
        "open: web, by its other name": "10.77.1.9",
        "shut: web, by its other name": "10.77.2.9",
        "open: other gateway pings": "no",
        "open: other network": "no",
        "open: the host's loopback": "no",
        "open: the uplink's address": "no",
        "open: gateway's other ports": "no",
        "open: other network's names": "no",
        "open: web": "10.77.1.9",
        "open: web.net1": "10.77.1.9",
        "open: db": "10.77.1.8",
        "open: missing.net1": "no",
        "shut: web outside": "no",
        "shut: web": "10.77.2.9",
        "shut: a name outside": "no",
        "shut: own gateway pings": "yes",
        "open: a forged address": "no",
        "left": ["uplink.log"],
    }


async def test_the_kernel_takes_the_rules_and_replaces_them(namespace: Namespace):
    networks = [RuledNetwork(f"g{n}", f"10.{n}.0.0/24", f"10.{n}.0.1", uplink=n > 2) for n in range(1, 4)]
    for count in (3, 1, 0):
        await load_ruleset(namespace, plan_ruleset(networks[:count]))


async def test_rules_that_are_none_are_refused(namespace: Namespace):
    with pytest.raises(Internal, match=r"nft refuses the rules: .*syntax error"):
        await load_ruleset(namespace, "table inet {")


@pytest.mark.skipif(AS_ROOT, reason="root opens every device")
@pytest.mark.skipif(os.access("/dev/net/tun", os.R_OK | os.W_OK), reason="/dev/net/tun is open")
async def test_no_uplink_without_a_tap(namespace: Namespace, tmp_path: Path):
    with pytest.raises(Unavailable, match="pasta"):
        await start_uplink(namespace, tmp_path)
    assert not (tmp_path / "uplink.json").exists()
