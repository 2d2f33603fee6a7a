"""The same suites once more as an ordinary user: no privilege, no group, and a /dev/net/tun that anybody may open."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT

pytestmark = pytest.mark.host
REPOSITORY = Path(__file__).parents[2]
UID = 70001

# In a mount namespace of its own: some hosts keep the node to root.
PREPARE = """
set -e
mount -t tmpfs none "$1"
mknod -m 666 "$1/tun" c 10 200
mount --bind "$1/tun" /dev/net/tun
shift
exec "$@"
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_everything_works_as_an_ordinary_user(tmp_path: Path):
    (tmp_path / "dev").mkdir()
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs", "--"]
    test = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    test += ["tests/host", "tests/contract/test_links.py"]
    test += ["--ignore=tests/host/test_rootless.py", "--ignore-glob=tests/host/test_image_*"]
    prepare = ["unshare", "--mount", "--", "sh", "-c", PREPARE, "sh", str(tmp_path / "dev")]
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG")} | {"HOME": "/nonexistent"}
    done = subprocess.run(
        [*prepare, *become, *test], cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "closed" not in done.stdout, "the tests with taps were skipped"
