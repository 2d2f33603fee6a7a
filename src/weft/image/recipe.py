"""A recipe says what an appliance is made of: `recipe.toml` and the folder `files/` beside it."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from weft.model.errors import Invalid, NotFound
from weft.model.image import Entry, ImageNic, NicRole
from weft.model.names import parse_name
from weft.model.units import parse_size

RECIPE_FILE = "recipe.toml"


def _parse_memory(value: object) -> object:
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


GuestPath = Annotated[str, BeforeValidator(_require_absolute)]

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]
AccountId = Annotated[int, Field(ge=100, lt=65534)]


class Recipe(BaseModel):
    """What `recipe.toml` says. Paths are paths in the machine; globs are matched against the packages' files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field(min_length=1)
    description: str = ""
    packages: tuple[str, ...] = Field(min_length=1, description="Debian packages to take files from")
    binaries: tuple[GuestPath, ...] = Field(default=(), description="programs, with all libraries they need")
    files: tuple[GuestPath, ...] = Field(default=(), description="globs; shared objects bring their libraries too")
    applets: Literal["all"] | tuple[str, ...] = Field(default="all", description="busybox links to make")
    symlinks: dict[GuestPath, str] = {}
    directories: tuple[GuestPath, ...] = ()
    users: dict[AccountName, AccountId] = Field(default={}, description="accounts to add, each with its own group")
    entry: Entry = Entry()
    nics: tuple[ImageNic, ...] = (ImageNic(name="eth0"),)
    wire: bool = False
    memory: Annotated[int, BeforeValidator(_parse_memory)] = 64 << 20

    @model_validator(mode="after")
    def _check_whole(self) -> "Recipe":
        parse_name(self.name, "image")
        names = [nic.name for nic in self.nics]
        if len(set(names)) != len(names):
            raise ValueError("nics: a name is used twice")
        roles = sorted(nic.role for nic in self.nics)
        if self.wire and roles != [NicRole.MACHINE, NicRole.NETWORK]:
            raise ValueError("wire = true needs exactly two nics, one of role network and one of role machine")
        return self


def load_recipe(folder: Path) -> Recipe:
    """The recipe in `folder`. Raises NotFound without one, Invalid naming file and key when it is wrong."""
    path = folder / RECIPE_FILE
    try:
        data = tomllib.loads(path.read_text())
    except OSError as err:
        raise NotFound(f"no recipe at {path}: {err.strerror}", hint="a recipe is a folder with recipe.toml") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise Invalid(f"{path}: {err}") from err
    try:
        return Recipe.model_validate(data)
    except ValidationError as err:
        raise Invalid(f"{path}: {_first_problem(err)}") from err
    except Invalid as err:
        raise Invalid(f"{path}: {err.message}", hint=err.hint) from err


def _first_problem(err: ValidationError) -> str:
    first = err.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    more = f" (and {err.error_count() - 1} more)" if err.error_count() > 1 else ""
    return f"{key}: {first['msg']}{more}"
