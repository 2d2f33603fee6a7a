"""An image's config, as container engines write it, in the words of our manifest."""

import re
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weft.image.oci.manifest import ARCHITECTURE, LARGEST_CONFIG, OS, PLAN9, PLATFORM, load_json
from weft.model.errors import Invalid
from weft.model.image import MEBIBYTE, Entry, Health, ImageKind, ImageManifest, OciSource

MEMORY = 256 * MEBIBYTE
"""What a machine of an OCI image gets unless it asks otherwise: images say nothing about it."""
NANO = 1_000_000_000
FIRST_REAL_TIME, LAST_REAL_TIME = 34, 64
"""SIGRTMIN and SIGRTMAX as C libraries count (signal(7))."""
VERSION_LABEL, DESCRIPTION_LABEL = "org.opencontainers.image.version", "org.opencontainers.image.description"
_PORT = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?")
_REAL_TIME = re.compile(r"RT(MIN\+|MAX-)[0-9]{1,2}|RTMIN|RTMAX")
_NULL_DIGEST = "sha256:" + "0" * 64


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class HealthCheck(_Part):
    """`Test` begins with NONE, CMD or CMD-SHELL; empty inherits. Times are in nanoseconds, 0 is the default."""

    Test: tuple[str, ...] | None = None
    Interval: int = Field(default=0, ge=0)
    Timeout: int = Field(default=0, ge=0)
    StartPeriod: int = Field(default=0, ge=0)
    Retries: int = Field(default=0, ge=0)


class RunConfig(_Part):
    """`config` within the config: how a container is run."""

    Entrypoint: tuple[str, ...] | None = None
    Cmd: tuple[str, ...] | None = None
    Env: tuple[str, ...] | None = None
    WorkingDir: str | None = None
    User: str | None = None
    ExposedPorts: dict[str, Any] | None = None
    StopSignal: str | int | None = None
    Volumes: dict[str, Any] | None = None
    Healthcheck: HealthCheck | None = None
    Labels: dict[str, str] | None = None
    Shell: tuple[str, ...] | None = None


class RootFs(_Part):
    diff_ids: tuple[str, ...] = ()


class OciConfig(_Part):
    """The document that a manifest calls its config."""

    architecture: str = ""
    os: str = ""
    config: RunConfig | None = None
    rootfs: RootFs = RootFs()


def parse_config(data: bytes, where: str) -> OciConfig:
    """Read a config. Raises Invalid, also for another platform than ours."""
    try:
        config = OciConfig.model_validate(load_json(data, f"the config of {where}", LARGEST_CONFIG))
    except ValidationError as err:
        problem = err.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise Invalid(f"the config of {where} is damaged: {place}: {problem['msg']}") from err
    platform = f"{config.os}/{config.architecture}"
    if (config.os, config.architecture) != (OS, ARCHITECTURE) and config.os != PLAN9:
        raise Invalid(f"{where} is for {platform[:100]}, and machines are {PLATFORM}")
    return config


def make_root(name: str, config: OciConfig, source: OciSource, *, now: datetime) -> ImageManifest:
    """The record of an image that is a Plan 9 root, without this yet: of the config, what describes it."""
    labels = (config.config or RunConfig()).Labels or {}
    return ImageManifest(
        name=name,
        kind=ImageKind.PLAN9,
        version=_find_version(labels, source),
        description=labels.get(DESCRIPTION_LABEL, ""),
        digest=_NULL_DIGEST,
        size=0,
        root_type="p9",
        created=now,
        labels=labels,
        oci=source,
    )


def make_image(name: str, config: OciConfig, source: OciSource, *, now: datetime | None = None) -> ImageManifest:
    """The image's record, without its root yet. Raises Invalid for values that mean nothing."""
    run = config.config or RunConfig()
    labels = run.Labels or {}
    try:
        return ImageManifest(
            name=name,
            kind=ImageKind.OCI,
            version=_find_version(labels, source),
            description=labels.get(DESCRIPTION_LABEL, ""),
            digest=_NULL_DIGEST,  # the store writes what it finds in the root file
            size=0,
            entry=_make_entry(run),
            memory=MEMORY,
            created=now or datetime.now(UTC),
            ports=tuple(sorted(map(_parse_port, run.ExposedPorts or {}), key=_port_order)),
            volumes=tuple(sorted(map(_parse_folder, run.Volumes or {}))),
            labels=labels,
            health=_make_health(run),
            oci=source,
        )
    except (ValidationError, Invalid) as err:
        problem = err.errors()[0]["msg"] if isinstance(err, ValidationError) else err.message
        raise Invalid(f"the config of {name} cannot be honoured: {problem}") from err


def _find_version(labels: Mapping[str, str], source: OciSource) -> str:
    return labels.get(VERSION_LABEL) or source.manifest.partition(":")[2][:12]


def _make_entry(run: RunConfig) -> Entry:
    return Entry(
        entrypoint=run.Entrypoint or (),
        argv=run.Cmd or (),
        env=_parse_environment(run.Env or ()),
        cwd=_parse_folder(run.WorkingDir or "/"),
        user=run.User or "0:0",
        stop_signal=parse_signal(run.StopSignal or "SIGTERM"),
    )


def _parse_environment(pairs: tuple[str, ...]) -> dict[str, str]:
    """The last of two with one name counts, as in every engine; a name without `=` sets nothing."""
    split = (pair.partition("=") for pair in pairs)
    return {name: value for name, equals, value in split if name and equals}


def _parse_folder(path: str) -> str:
    """A working directory may be written without its first slash, and then means the same."""
    if "\0" in path or "\n" in path:
        raise Invalid(f"{path[:100]!r} is not a path")
    return path if path.startswith("/") else f"/{path}"


def parse_signal(text: str | int) -> str:
    """`9`, `KILL`, `SIGKILL`, `RTMIN+3`: the name with SIG before it. Raises Invalid."""
    name = str(text).strip().upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        return _name_signal(int(name))
    if f"SIG{name}" in signal.Signals.__members__ or _REAL_TIME.fullmatch(name):
        return f"SIG{name}"
    raise Invalid(f"{str(text)[:40]!r} is not a signal")


def _name_signal(number: int) -> str:
    if FIRST_REAL_TIME <= number <= LAST_REAL_TIME:
        return f"SIGRTMIN+{number - FIRST_REAL_TIME}" if number > FIRST_REAL_TIME else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError as err:
        raise Invalid(f"{number} is not a signal") from err


def _parse_port(text: str) -> str:
    """`80` is `80/tcp`."""
    if not _PORT.fullmatch(text):
        raise Invalid(f"{text[:40]!r} is not a port")
    return text if "/" in text else f"{text}/tcp"


def _port_order(port: str) -> tuple[int, str]:
    return int(re.split(r"[-/]", port)[0]), port


def _make_health(run: RunConfig) -> Health | None:
    check = run.Healthcheck
    if check is None or not check.Test or check.Test[0] == "NONE":
        return None
    argv = _parse_test(check.Test, run.Shell or ("/bin/sh", "-c"))
    given: Mapping[str, float | int] = {
        "interval": check.Interval / NANO,
        "timeout": check.Timeout / NANO,
        "start_period": check.StartPeriod / NANO,
        "retries": check.Retries,
    }
    return Health.model_validate({"argv": argv, **{key: value for key, value in given.items() if value}})


def _parse_test(test: tuple[str, ...], shell: tuple[str, ...]) -> tuple[str, ...]:
    kind, *rest = test
    if kind == "CMD" and rest:
        return tuple(rest)
    if kind == "CMD-SHELL" and len(rest) == 1:
        return (*shell, rest[0])
    raise Invalid(f"a health check of kind {kind[:40]!r} with {len(rest)} words is not known")
