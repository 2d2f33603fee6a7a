"""From the command line of a QEMU that runs a machine to that of another, which takes over the machine's state.

The running one's own words are taken, not what its record would give today: an image may have been built anew and a
spec changed since, and both must be alike to the last device. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

MEMORY = "memory-backend-file,id=memory,"
"""How the memory that the daemon has made begins in QEMU's words."""
_DESCRIPTOR = re.compile(r"\bfd=(\d+)|/proc/self/fd/(\d+)")
_CHANNEL = re.compile(r"socket,id=(qmp|serial|agent),fd=(\d+),")
_TAP = re.compile(r"tap,id=net\d+,fd=\d+$")
_SECCOMP, _PRECONFIG = "--seccomp", "-preconfig"


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """What a command line says of the machine that it runs.

    `channels`: the descriptors of its sockets by name. `others`: those of a floppy and the like.
    `memory`: that of its memory; `shared`: what the guest writes is in there. `folders`: it has folders of the host.
    `disks`: it has disks that it may write to.
    `files`: what it sees of the host, and may only read, by name inside and out.
    """

    argv: tuple[str, ...]
    channels: Mapping[str, int]
    others: tuple[int, ...]
    memory: int | None
    shared: bool
    folders: bool
    disks: bool
    files: tuple[tuple[str, str], ...]


def parse_running(argv: Sequence[str]) -> RunningCommand:
    """Read the command line of the walls around a QEMU, which ends with QEMU's own."""
    channels = {found[1]: int(found[2]) for word in argv if (found := _CHANNEL.match(word))}
    taps = {number for word in argv if _TAP.match(word) for number in _numbers(word)}
    backend = next((word for word in argv if word.startswith(MEMORY)), "")
    memory = next(_numbers(backend), None)
    known = {*channels.values(), *taps, memory}
    return RunningCommand(
        argv=tuple(argv),
        channels=channels,
        others=tuple(number for word in argv for number in _numbers(word) if number not in known),
        memory=memory,
        shared="share=on" in backend.split(","),
        folders=any(word.startswith("vhost-user-fs") for word in argv),
        disks=any(",locking=on" in word for word in argv),
        files=tuple(_pairs(argv, "--ro-bind")),
    )


def follow_move(running: RunningCommand, before: str, after: str) -> RunningCommand:
    """A machine that came from a pool was started in a folder below `before`, which is called `after` since then."""
    below = re.compile(rf"{re.escape(before)}/[^/]+/")

    def move(word: str) -> str:
        return f"{after}/{word[found.end() :]}" if (found := below.match(word)) else word

    files = tuple((inside, move(outside)) for inside, outside in running.files)
    return replace(running, argv=tuple(map(move, running.argv)), files=files)


def plan_incoming(
    running: RunningCommand,
    descriptors: Mapping[int, int],
    *,
    shared: bool,
    idle: bool = False,
    taps: Sequence[int] = (),
    seccomp: int | None = None,
) -> list[str]:
    """The command line of a QEMU that waits for the state of the one that runs, and does not go on by itself.

    `descriptors`: what it is given, by the number that the running one has it under. `shared`: it writes to the memory
    that it is given. `idle`: it will never run, and must not keep the disks from the one that does; it has `taps`. One
    that is to run makes its machine when it is told to, and is given its taps before: who opens a tap sets it up anew,
    whoever else has it. `seccomp`: the descriptor of a filter of system calls.
    """
    words = list(_without(running.argv, (_SECCOMP,)))
    if seccomp is not None:
        words.insert(words.index("--"), str(seccomp))
        words.insert(words.index("--") - 1, _SECCOMP)
    words = [_renumber(word, descriptors) for word in _without_taps(words)]
    words = [_share(word, shared) if word.startswith(MEMORY) else word for word in words]
    if idle:
        words = [word.replace(",locking=on", ",locking=off") for word in words]
    words += [] if "-incoming" in words else ["-incoming", "defer"]
    words += [] if "-S" in words else ["-S"]
    if not idle:
        return [*words, _PRECONFIG]
    return [*words, *(word for number, tap in enumerate(taps) for word in ("-netdev", f"tap,id=net{number},fd={tap}"))]


def _without_taps(words: Sequence[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word != _PRECONFIG and not _TAP.match(word) and not (word == "-netdev" and _TAP.match(following)):
            yield word


def _numbers(word: str) -> Iterator[int]:
    for found in _DESCRIPTOR.finditer(word):
        yield int(found[1] or found[2])


def _renumber(word: str, descriptors: Mapping[int, int]) -> str:
    def put(found: re.Match[str]) -> str:
        old = found[1] or found[2]
        return found[0].replace(old, str(descriptors[int(old)]))

    return _DESCRIPTOR.sub(put, word)


def _share(word: str, shared: bool) -> str:
    return re.sub(r",share=(on|off)", f",share={'on' if shared else 'off'}", word)


def _pairs(argv: Sequence[str], option: str) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(argv[: argv.index("--")]):
        if word == option:
            yield argv[at + 2], argv[at + 1]


def _without(argv: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """The words but these options of the walls, each with its one argument."""
    end, skip = argv.index("--"), False
    for at, word in enumerate(argv):
        if skip or (at < end and word in options):
            skip = not skip
            continue
        yield word
