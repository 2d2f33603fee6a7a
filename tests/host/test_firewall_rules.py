"""The firewall's rules, loaded by a real nft."""

import subprocess

import pytest
from tests.unit.firewall_places import ROUTER
from tests.unit.test_firewall_rules import PLACE, VALUES

from weft.firewall.filtering import RULES, TAKEOVER, render
from weft.host.process import program

pytestmark = pytest.mark.host


@pytest.mark.parametrize(("values", "place"), [({}, ROUTER), (VALUES, PLACE)])
def test_nft_takes_what_is_rendered(values, place):
    files = render(values, place)
    argv = [program("unshare"), "-rn", program("nft"), "-f", "-"]
    loaded = subprocess.run(argv, input=files[RULES] + files[TAKEOVER], capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")
