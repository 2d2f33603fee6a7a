"""One table of settings: keys of `HOME/weft.toml`, `WEFT_…` environment variables, and the reference page.

A variable wins over the file, the file over the default.
"""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from weft.model.errors import Invalid

FILE_NAME = "weft.toml"


class Settings(BaseSettings):
    """Settings of one fabric. Durations are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="forbid")

    accel: str = Field("auto", pattern="^(auto|kvm|tcg)$", description="accelerator; auto checks that KVM really runs")
    hotplug: str = Field(
        "auto",
        pattern="^(auto|yes|no)$",
        description="whether processors of elastic machines are hot-plugged; auto tries it out in a throw-away machine",
    )
    boot_timeout: float = Field(60.0, gt=0, description="how long a machine may take until its agent answers")
    stop_timeout: float = Field(10.0, gt=0, description="how long a machine may take to power off before it is killed")
    drain: float = Field(0.25, ge=0, description="how long an ejected appliance keeps passing on what is still inside")
    heartbeat_interval: float = Field(0.05, gt=0, description="time between heartbeat frames through an inline insert")
    heartbeat_timeout: float | None = Field(
        None, gt=0, description="silence after which an insert counts as hung; default 0.2, under emulation 1.0"
    )
    root_changes: int = Field(
        1 << 30,
        ge=1 << 20,
        description="how much a Plan 9 machine may keep that its image's root does not have",
    )
    log_bytes: int = Field(4 << 20, ge=65536, description="size at which a machine's serial log is rotated")
    uid_base: int = Field(0x77000000, ge=1000, description="first of the user ids that machines run as (root only)")
    memory_overhead: int = Field(192 << 20, ge=0, description="what QEMU itself may use beside the machine's memory")
    memory_overcommit: float = Field(
        1.0, gt=0, description="how much memory may be promised to machines: so many times what the host has for them"
    )
    cpu_overcommit: float | None = Field(
        None,
        gt=0,
        description="how many processors may be promised, for each that the host has; no bound by default, since time "
        "of processors is shared out anew at every moment",
    )
    host_memory: int | None = Field(
        None, gt=0, description="the part of the host's memory that is counted with, `host_reserve` included; all"
    )
    host_reserve: int | None = Field(
        None, ge=0, description="memory kept for the host itself; a sixteenth by default, from 128 MiB to 1 GiB"
    )
    pool_limit: int = Field(16, ge=0, description="how many copies the pools of a room may keep ready, all together")
    templates: bool = Field(
        True, description="whether machines go on from templates where they can, and appliances get some by themselves"
    )
    insecure_registries: tuple[str, ...] = Field(
        (),
        description="registries, HOST or HOST:PORT, that may be spoken to without TLS; those of this host may anyway",
    )
    registry_ca: Path | None = Field(
        None, description="a file with certificates, PEM, to trust for registries beside the system's"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file; no dotenv, no secrets directory."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load_settings(home: Path) -> Settings:
    """The settings of the fabric in `home`. Raises Invalid naming every wrong key."""

    class _Settings(Settings):
        model_config = SettingsConfigDict(toml_file=home / FILE_NAME)

    try:
        return _Settings()  # type: ignore[call-arg]
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors())
        raise Invalid(f"settings in {home / FILE_NAME} or the environment: {wrong}") from err
    except (ValueError, OSError) as err:  # no UTF-8, no TOML, not readable
        raise Invalid(f"settings in {home / FILE_NAME}: {err}") from err
