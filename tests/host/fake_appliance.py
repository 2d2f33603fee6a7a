"""A machine that runs on paper: an agent that keeps files, and an `apply` program written in Python."""

import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from weft.guest.protocol import ExitStatus
from weft.model.errors import NotFound

Refuse = Callable[[Mapping[str, Any]], str]
"""Why settings are refused; empty when they are not."""


class FakeProcess:
    """What `Agent.exec` gives: it ends when its input does."""

    def __init__(self, act: Callable[[bytes], tuple[int, bytes, bytes]], *, stdin: bool) -> None:
        self._act = act
        self._input = b""
        self._stdin = stdin
        self._result: tuple[int, bytes, bytes] | None = None

    async def write(self, data: bytes) -> None:
        self._input += data

    def close_stdin(self) -> None:
        self._result = self._act(self._input)

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        if self._stdin:
            import asyncio

            while self._result is None:  # noqa: ASYNC110 (whoever feeds it is a task that has not run yet)
                await asyncio.sleep(0)
        else:
            self.close_stdin()
        assert self._result
        yield "stdout", self._result[1]
        yield "stderr", self._result[2]

    async def wait(self) -> ExitStatus:
        assert self._result
        return ExitStatus(code=self._result[0])

    async def __aenter__(self) -> "FakeProcess":
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass


class FakeAppliance:
    """Both the machine and its agent. `applied` are all settings that were applied, in order."""

    def __init__(self, refuse: Refuse = lambda _settings: "") -> None:
        self.refuse = refuse
        self.files: dict[str, bytes] = {}
        self.hostname = ""
        self.applied: list[dict[str, Any]] = []

    @property
    def running(self) -> dict[str, Any]:
        """What its settings file says."""
        found: dict[str, Any] = json.loads(self.files["settings.json"])
        return found

    def change(self, **values: Any) -> None:
        """What a program in the machine does that changes settings."""
        self.files["settings.json"] = json.dumps({**self.running, **values}).encode()

    async def exec(self, argv: Sequence[str], *, stdin: bool = False, builtin: bool = False) -> FakeProcess:
        if not builtin:
            return FakeProcess(self._apply, stdin=stdin)
        acts = {"tar-extract": self._extract, "tar-create": self._create, "hostname": self._name(argv)}
        if argv[0] not in acts:
            raise NotFound(f"in the machine: {argv[0]}: not found")
        return FakeProcess(acts[argv[0]], stdin=stdin)

    def _apply(self, data: bytes) -> tuple[int, bytes, bytes]:
        settings = json.loads(data)
        assert settings == self.running, "the files are there before they are applied"
        if reason := self.refuse(settings):
            return 1, b"", f"some words\n{reason}\n".encode()
        self.applied.append(settings)
        return 0, b"chatter", b""

    def _extract(self, data: bytes) -> tuple[int, bytes, bytes]:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                assert content
                self.files[member.name] = content.read()
        return 0, b"", b""

    def _create(self, _data: bytes) -> tuple[int, bytes, bytes]:
        if "settings.json" not in self.files:
            return 1, b"", b"settings.json: No such file or directory\n"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            member = tarfile.TarInfo("settings.json")
            member.size, member.mtime = len(self.files["settings.json"]), 1.5
            archive.addfile(member, io.BytesIO(self.files["settings.json"]))
        return 0, packed.getvalue(), b""

    def _name(self, argv: Sequence[str]) -> Callable[[bytes], tuple[int, bytes, bytes]]:
        def act(_data: bytes) -> tuple[int, bytes, bytes]:
            self.hostname = argv[1]
            return 0, b"", b""

        return act
