"""A server that is killed in the middle of its work, by the kernel and at any moment."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.unit.test_ninep_overlay import BASE, EMPTY, LIMIT, Root, now

from weft.ninep.words import Mode, NinepError, StatChange

KILLS, SEED = 4, 9


def work(root: Root, chance: random.Random) -> None:
    """One change of any kind, of any file."""
    paths = [path for path, _ in root.files()]
    files = [path for path, data in root.files() if data is not None]
    name, path = f"n{chance.randrange(40)}", chance.choice(paths)
    match chance.randrange(6):
        case 0 if path not in files:
            root.create(path, name, 0o664, b"x" * chance.randrange(5000))
        case 1 if path not in files and path.count("/") < 3:
            root.create(path, name, Mode.DIR | 0o775)
        case 2 if files:
            root.write(chance.choice(files), b"y" * chance.randrange(1, 5000), chance.randrange(100))
        case 3 if files:
            root.write(chance.choice(files), b"z", mode=EMPTY)
        case 4:
            now(root.walk(path).wstat(StatChange(name=name)))
        case 5 if path not in BASE:
            now(root.walk(path).remove())


def work_for_ever(folder: str, seed: str) -> None:
    """What the process does that is killed."""
    root, chance = Root(Path(folder)), random.Random(int(seed))
    os.write(1, b"working\n")
    while True:
        try:
            work(root, chance)
        except NinepError:
            continue


def test_what_is_left_is_whole(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.overlay.close()
    start = "import sys; from tests.unit.test_ninep_overlay_killed import work_for_ever; work_for_ever(*sys.argv[1:])"
    chance, seen = random.Random(SEED), 0
    for seed in range(KILLS):
        argv = [sys.executable, "-c", start, str(tmp_path), str(seed)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) as worker:
            assert worker.stdout is not None and worker.stdout.readline() == b"working\n"
            try:
                worker.wait(chance.uniform(0.02, 0.3))
            except subprocess.TimeoutExpired:
                worker.send_signal(signal.SIGKILL)
        root.open()
        files = dict(root.files())
        assert root.overlay.used <= LIMIT
        numbers = [root.walk(path).qid.path for path in files]
        assert len(set(numbers)) == len(numbers)
        contents = {int(path.name, 16) for path in (root.upper / "files").iterdir()}
        assert contents <= set(numbers)
        seen += len(set(files) - set(BASE))
        used = root.overlay.used
        root.restart()
        assert (dict(root.files()), root.overlay.used) == (files, used)
        root.overlay.close()
    assert seen, "nothing was changed"
    os.close(root.fd)
