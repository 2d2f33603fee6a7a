"""The same suites once more as an ordinary user: no privilege, no group, and a /dev/net/tun that anybody may open."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ordinary import AS_ROOT, BECOME, REPOSITORY, private_mounts

pytestmark = pytest.mark.host


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_everything_works_as_an_ordinary_user(tmp_path: Path):
    (tmp_path / "stage").mkdir()
    test = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    test += ["tests/host", "tests/contract/test_links.py"]
    test += ["--ignore=tests/host/test_rootless.py", "--ignore-glob=tests/host/test_image_*"]
    argv = [*private_mounts(tmp_path / "stage"), *BECOME, *test]
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG")} | {"HOME": "/nonexistent"}
    done = subprocess.run(argv, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "closed" not in done.stdout, "the tests with taps were skipped"
