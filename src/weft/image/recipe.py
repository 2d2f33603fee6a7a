"""A recipe says what an appliance is made of: `recipe.toml` and the folder `files/` beside it."""

import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from weft.image.accounts import AccountId, AccountName, AccountOrNumber, Accounts
from weft.model.errors import Invalid, NotFound
from weft.model.image import INSERT_MODES, Entry, Health, ImageNic, InsertMode, NicRole, Service
from weft.model.names import parse_name
from weft.model.schema import Setting, SettingsSchema
from weft.model.units import parse_size

RECIPE_FILE = "recipe.toml"
HOSTNAME_SETTING = Setting(type="hostname", help="The machine's name.")
"""What every appliance has, whatever its recipe says."""


def _parse_bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except Invalid as err:
        raise ValueError(str(err)) from err


def _require_absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} must be an absolute path without `..`")
    return path


def _parse_mode(value: object) -> object:
    if isinstance(value, str) and value and set(value) <= set("01234567"):
        return int(value, 8)
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # TOML has octal numbers: 0o644
    raise ValueError(f'{value!r} is not a mode, which is written like "0644"')


def _split_settings(value: Any) -> Any:
    """In a recipe a setting is a table `[settings.NAME]`, beside what is said of all of them."""
    if not isinstance(value, dict):
        return value
    tables = {key: part for key, part in value.items() if isinstance(part, dict)}
    return {"settings": tables, **{key: part for key, part in value.items() if key not in tables}}


GuestPath = Annotated[str, BeforeValidator(_require_absolute)]
Bytes = Annotated[int, BeforeValidator(_parse_bytes), Field(gt=0)]
PortNumber = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}/(tcp|udp|sctp)$")]
LibraryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
KernelArgument = Annotated[str, StringConstraints(pattern=r"^[!#-~]+$")]
"""Printable, without blanks and quotes: the kernel's command line knows no other way to write one."""


class Permission(BaseModel):
    """Mode and owner of what lies at a path of the image; what is not said stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Annotated[int, BeforeValidator(_parse_mode), Field(ge=0, le=0o7777)] | None = None
    owner: str | None = Field(default=None, pattern=r"^[^:\s]+(:[^:\s]+)?$", description="USER[:GROUP]")


class Recipe(BaseModel):
    """What `recipe.toml` says. Paths are paths in the machine; globs are matched against the packages' files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field(min_length=1)
    description: str = ""
    packages: tuple[str, ...] = Field(min_length=1, description="Debian packages to take files from")
    suite: Literal["", "backports", "updates", "proposed-updates"] = Field(
        default="", description="of Debian, to prefer"
    )
    binaries: tuple[GuestPath, ...] = Field(default=(), description="programs, with all libraries they need")
    files: tuple[GuestPath, ...] = Field(default=(), description="globs; shared objects bring their libraries too")
    applets: Literal["all"] | tuple[str, ...] = Field(default="all", description="busybox links to make")
    stubs: tuple[LibraryName, ...] = Field(default=(), description="libraries that are named but never used")
    symlinks: dict[GuestPath, str] = {}
    directories: tuple[GuestPath, ...] = ()
    permissions: dict[GuestPath, Permission] = Field(default={}, description="globs over the whole image")
    users: dict[AccountName, AccountOrNumber] = Field(default={}, description="accounts to add")
    groups: dict[AccountName, AccountId] = Field(default={}, description="groups to add")
    entry: Entry = Entry()
    services: tuple[Service, ...] = ()
    health: Health | None = None
    settings: Annotated[SettingsSchema, BeforeValidator(_split_settings)] = SettingsSchema()
    kernel_args: tuple[KernelArgument, ...] = ()
    nics: tuple[ImageNic, ...] = (ImageNic(name="eth0"),)
    wire: bool = False
    modes: tuple[InsertMode, ...] = Field(default=INSERT_MODES, min_length=1)
    drain: tuple[str, ...] = ()
    verity: bool = Field(default=False, description="check every block of the root when it is read")
    ports: tuple[PortNumber, ...] = ()
    labels: dict[str, str] = {}
    memory: Bytes = 64 << 20
    max_size: Bytes | None = Field(default=None, description="the most the root file may take")
    min_available: Bytes | None = Field(default=None, description="what has to be left of `memory` for programs")

    @property
    def accounts(self) -> Accounts:
        """All users and groups. Raises Invalid when they do not fit together."""
        return Accounts(self.users, self.groups)

    @property
    def schema_with_hostname(self) -> SettingsSchema:
        """The settings, with the one that every appliance has."""
        settings = {"hostname": HOSTNAME_SETTING} | self.settings.settings
        return self.settings.model_copy(update={"settings": settings})

    @model_validator(mode="after")
    def _check_whole(self) -> "Recipe":
        parse_name(self.name, "image")
        names = [nic.name for nic in self.nics]
        if len(set(names)) != len(names):
            raise ValueError("nics: a name is used twice")
        roles = sorted(nic.role for nic in self.nics)
        if self.wire and roles != [NicRole.MACHINE, NicRole.NETWORK]:
            raise ValueError("wire = true needs exactly two nics, one of role network and one of role machine")
        if self.schema_with_hostname.settings["hostname"].type != "hostname":
            raise ValueError("settings.hostname: its type is hostname")
        if self.min_available and self.min_available >= self.memory:
            raise ValueError("min_available: all of `memory` or more can never be left")
        self._check_users()
        order_services(self.services)
        if any(argument.startswith("dm-mod.") for argument in self.kernel_args):
            raise ValueError("kernel_args: dm-mod is for verity = true to say")
        return self

    def _check_users(self) -> None:
        accounts = self.accounts
        accounts.resolve(self.entry.user, "entry.user")
        for service in self.services:
            accounts.resolve(service.user, f"services.{service.name}.user")
        for path, permission in self.permissions.items():
            accounts.resolve(permission.owner or "0", f"permissions.{path}")


def order_services(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """The services so that each comes after those it waits for, else as they are written. Raises Invalid."""
    by_name = {service.name: service for service in services}
    if len(by_name) != len(services):
        twice = next(name for name in by_name if [service.name for service in services].count(name) > 1)
        raise Invalid(f"services.{twice}: there are two of this name")
    for service in services:
        for other in service.after:
            if other not in by_name:
                raise Invalid(f"services.{service.name}.after: there is no service {other!r}")
    sorter = TopologicalSorter({service.name: service.after for service in services})
    try:
        sorter.prepare()
    except CycleError as err:
        raise Invalid(f"services.{err.args[1][0]}.after: a circle: {' -> '.join(err.args[1])}") from err
    ordered: list[Service] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(by_name).index)
        ordered += [by_name[name] for name in ready]
        sorter.done(*ready)
    return tuple(ordered)


def load_recipe(place: Path) -> Recipe:
    """The recipe at `place`, its folder or its file. Raises NotFound without one, Invalid naming file and key."""
    path = place if place.suffix == ".toml" else place / RECIPE_FILE
    try:
        data = tomllib.loads(path.read_text())
    except OSError as err:
        raise NotFound(f"no recipe at {path}: {err.strerror}", hint="a recipe is a folder with recipe.toml") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise Invalid(f"{path}: {err}") from err
    try:
        return Recipe.model_validate(data)
    except ValidationError as err:
        raise Invalid(f"{path}: {_first_problem(err, data)}") from err
    except Invalid as err:
        raise Invalid(f"{path}: {err.message}", hint=err.hint) from err


def _first_problem(err: ValidationError, data: dict[str, Any]) -> str:
    first = err.errors(include_url=False)[0]
    key = ".".join(_name_part(part, first["loc"][:at], data) for at, part in enumerate(first["loc"]))
    more = f" (and {err.error_count() - 1} more)" if err.error_count() > 1 else ""
    return f"{_as_written(key) or 'recipe'}: {first['msg'].removeprefix('Value error, ')}{more}"


def _as_written(key: str) -> str:
    return "settings." + key.removeprefix("settings.settings.") if key.startswith("settings.settings.") else key


def _name_part(part: int | str, above: tuple[int | str, ...], data: Any) -> str:
    """Services are a list: one is named by its name, where it has one."""
    if above == ("services",) and isinstance(part, int):
        entry = data["services"][part]
        return str(entry.get("name", part)) if isinstance(entry, dict) else str(part)
    return str(part)
