"""Accounts of an appliance: what its recipe adds to those that every image has, and the files that list them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from weft.model.errors import Invalid

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]
AccountId = Annotated[int, Field(ge=100, lt=65534)]


class Account(BaseModel):
    """A user that a recipe adds. `group` is its first group, by default one of its own with its name and number;
    `groups` are further ones. A home other than / is made, and belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: AccountId
    group: AccountName | None = None
    groups: tuple[AccountName, ...] = ()
    home: str = Field(default="/", pattern=r"^/[^:\n]*$")
    shell: str = Field(default="/bin/false", pattern=r"^/[^:\n]*$")


def _number_alone(value: Any) -> Any:
    return {"uid": value} if isinstance(value, int) and not isinstance(value, bool) else value


AccountOrNumber = Annotated[Account, BeforeValidator(_number_alone)]


@dataclass(frozen=True)
class Identity:
    """A user as numbers."""

    uid: int
    gid: int


BUILT_IN_USERS = {"root": (0, 0, "/root", "/bin/sh"), "daemon": (1, 1, "/", "/bin/false")}
BUILT_IN_USERS |= {"www-data": (33, 33, "/srv", "/bin/false"), "nobody": (65534, 65534, "/", "/bin/false")}
BUILT_IN_GROUPS = {"root": 0, "daemon": 1, "tty": 5, "www-data": 33, "nogroup": 65534}


class Accounts:
    """All users and groups of one appliance. Raises Invalid when two clash or a group is not there."""

    def __init__(self, users: Mapping[str, Account], groups: Mapping[str, int]) -> None:
        own = {name: user.uid for name, user in users.items() if user.group is None and name not in groups}
        self.groups = BUILT_IN_GROUPS | own | dict(groups)
        self.users = {name: Identity(uid, gid) for name, (uid, gid, _home, _shell) in BUILT_IN_USERS.items()}
        self._added = users
        _refuse_twice("users", [*BUILT_IN_USERS, *users], [*(user[0] for user in BUILT_IN_USERS.values())], users)
        _refuse_built_in("groups", groups)
        for name, user in users.items():
            self.users[name] = Identity(user.uid, self._group_id(f"users.{name}", user.group or name))
            for group in user.groups:
                self._group_id(f"users.{name}", group)

    def _group_id(self, what: str, name: str) -> int:
        if name not in self.groups:
            raise Invalid(f"{what}: there is no group {name!r}", hint="groups names it and its number")
        return self.groups[name]

    @property
    def homes(self) -> Iterator[tuple[str, Identity]]:
        """The folders to make, and whose they are."""
        return ((user.home, self.users[name]) for name, user in self._added.items() if user.home.strip("/"))

    def resolve(self, text: str, what: str) -> Identity:
        """USER[:GROUP] as numbers; a number alone is its own group. Raises Invalid, naming `what`."""
        user, colon, group = text.partition(":")
        if user.isdecimal():
            identity = Identity(int(user), int(user))
        elif user in self.users:
            identity = self.users[user]
        else:
            raise Invalid(f"{what}: there is no user {user!r}", hint="users names it and its number")
        if not colon:
            return identity
        return Identity(identity.uid, int(group) if group.isdecimal() else self._group_id(what, group))

    def dump_passwd(self) -> str:
        """/etc/passwd."""
        built_in = [(name, *facts) for name, facts in BUILT_IN_USERS.items() if name != "nobody"]
        added = [
            (name, self.users[name].uid, self.users[name].gid, user.home, user.shell)
            for name, user in self._added.items()
        ]
        rows = [*built_in, ("nobody", *BUILT_IN_USERS["nobody"]), *added]
        return "".join(f"{name}:x:{uid}:{gid}:{name}:{home}:{shell}\n" for name, uid, gid, home, shell in rows)

    def dump_group(self) -> str:
        """/etc/group."""
        members = {group: [name for name, user in self._added.items() if group in user.groups] for group in self.groups}
        return "".join(f"{name}:x:{gid}:{','.join(members[name])}\n" for name, gid in self.groups.items())


def _refuse_twice(what: str, names: list[str], numbers: list[int], users: Mapping[str, Account]) -> None:
    for name in users:
        if names.count(name) > 1:
            raise Invalid(f"{what}.{name}: every image has this account")
        if users[name].uid in numbers:
            raise Invalid(f"{what}.{name}: number {users[name].uid} is taken")
        numbers.append(users[name].uid)


def _refuse_built_in(what: str, groups: Mapping[str, int]) -> None:
    numbers = list(BUILT_IN_GROUPS.values())
    for name, number in groups.items():
        if name in BUILT_IN_GROUPS:
            raise Invalid(f"{what}.{name}: every image has this group")
        if number in numbers:
            raise Invalid(f"{what}.{name}: number {number} is taken")
        numbers.append(number)
