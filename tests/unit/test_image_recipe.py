"""Recipes: what is accepted, and that a wrong one names its file and key."""

from pathlib import Path

import pytest

from weft.image.accounts import Account
from weft.image.folders import REPOSITORY, recipe_folder, recipe_place, share_folder
from weft.image.recipe import Permission, Recipe, load_recipe, order_services
from weft.model.errors import Invalid, NotFound
from weft.model.image import Health, NicRole, RestartPolicy, Service
from weft.model.schema import Setting, SettingsSchema

SMALL = 'name = "small"\nversion = "1"\npackages = ["busybox"]\n'
WIRE = 'wire = true\nnics = [{ name = "eth0", role = "network" }, { name = "eth1", role = "machine" }]\n'


def write(folder: Path, text: str) -> Path:
    (folder / "recipe.toml").write_text(text)
    return folder


def test_defaults_are_an_ordinary_machine(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALL))
    assert [(nic.name, nic.role) for nic in recipe.nics] == [("eth0", NicRole.LAN)]
    assert recipe.memory == 64 << 20
    assert recipe.entry.argv == ()
    assert recipe.entry.restart is RestartPolicy.NEVER
    assert not recipe.wire


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = SMALL + WIRE + 'memory = "96M"\n[entry]\nargv = ["/bin/x", "-y"]\nuser = "33:33"\nrestart = "on-failure"\n'
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.wire
    assert recipe.memory == 96 << 20
    assert recipe.entry.argv == ("/bin/x", "-y")
    assert recipe.entry.restart is RestartPolicy.ON_FAILURE


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "recipe.toml"),
        (SMALL + "colour = 1\n", "colour"),
        (SMALL.replace("small", "Not A Name"), "not a valid name"),
        (SMALL.replace('["busybox"]', "[]"), "packages"),
        (SMALL + 'memory = "much"\n', "memory"),
        (SMALL + 'binaries = ["bin/sh"]\n', "absolute"),
        (SMALL + 'files = ["/../etc/shadow"]\n', "absolute"),
        (SMALL + '[symlinks]\n"../x" = "y"\n', "absolute"),
        (SMALL + "wire = true\n", "wire"),
        (SMALL + 'nics = [{ name = "eth0" }, { name = "eth0" }]\n', "twice"),
        (SMALL + 'nics = [{ name = "not a nic" }]\n', "nics.0.name"),
        (SMALL + 'users = { "a:b" = 100 }\n', "users"),
        (SMALL + "users = { root = 0 }\n", "users.root"),
        (SMALL + '[entry]\nuser = "a b"\n', "entry.user"),
        (SMALL + '[entry]\nuser = "web"\n', "entry.user: there is no user 'web'"),
        (SMALL + '[entry]\nuser = "0:web"\n', "entry.user: there is no group 'web'"),
        (SMALL + "users = { daemon = 100 }\n", "users.daemon: every image has"),
        (SMALL + "users = { a = 100, b = 100 }\n", "users.b: number 100 is taken"),
        (SMALL + "groups = { tty = 100 }\n", "groups.tty: every image has"),
        (SMALL + "groups = { a = 100, b = 100 }\n", "groups.b: number 100 is taken"),
        (SMALL + 'users = { a = { uid = 100, groups = ["b"] } }\n', "users.a: there is no group 'b'"),
        (SMALL + '[permissions]\n"/etc/x" = { mode = "0888" }\n', "permissions./etc/x.mode: '0888' is not a mode"),
        (SMALL + '[permissions]\n"/etc/x" = { owner = "nobody:x" }\n', "permissions./etc/x: there is no group 'x'"),
        (SMALL + '[[services]]\nname = "a"\nargv = ["/x"]\nafter = ["b"]\n', "services.a.after: there is no service"),
        (SMALL + '[[services]]\nname = "a"\nargv = ["/x"]\nafter = ["a"]\n', "services.a.after: a circle: a -> a"),
        (SMALL + '[[services]]\nname = "a"\nargv = ["/x"]\n[[services]]\nname = "a"\nargv = ["/x"]\n', "two of this"),
        (SMALL + '[[services]]\nname = "a"\nargv = []\n', "services.a.argv"),
        (SMALL + '[[services]]\nname = "a"\nargv = ["/x"]\nuser = "web"\n', "services.a.user: there is no user"),
        (SMALL + '[health]\nargv = ["/x"]\nretries = 0\n', "health.retries"),
        (
            SMALL + '[settings.level]\ntype = "integer"\ndefault = "x"\n',
            "settings.level: default: 'x' is not an integer",
        ),
        (SMALL + '[settings.level]\ntype = "colour"\n', "settings.level.type"),
        (SMALL + '[settings.hostname]\ntype = "integer"\n', "settings.hostname"),
        (SMALL + 'kernel_args = ["a b"]\n', "kernel_args.0"),
        (SMALL + 'ports = ["80"]\n', "ports.0"),
        (SMALL + 'max_size = "big"\n', "max_size"),
        (SMALL + 'min_available = "64M"\n', "min_available"),
    ],
)
def test_a_wrong_recipe_names_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_recipe(write(tmp_path, text))
    assert str(tmp_path / "recipe.toml") in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in caught.value.message


FULL = """
users = { web = { uid = 800, groups = ["tls"], home = "/srv/web" } }
groups = { tls = 900 }
kernel_args = ["sysctl.vm.swappiness=0"]
ports = ["80/tcp"]
labels = { role = "test" }
max_size = "16M"
min_available = "35M"
permissions = { "/etc/key" = { mode = "0640", owner = "root:tls" } }
[health]
argv = ["/bin/true"]
interval = 5
[[services]]
name = "late"
argv = ["/bin/late"]
after = ["early", "middle"]
user = "web"
[[services]]
name = "middle"
argv = ["/bin/middle"]
after = ["early"]
[[services]]
name = "early"
argv = ["/bin/early"]
once = true
[settings]
version = 2
apply = ["/bin/apply"]
[settings.level]
type = "integer"
default = 3
help = "How loud."
"""


def test_all_that_an_appliance_is(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALL + FULL))
    assert [service.name for service in order_services(recipe.services)] == ["early", "middle", "late"]
    assert recipe.permissions["/etc/key"].mode == 0o640
    assert (recipe.max_size, recipe.min_available) == (16 << 20, 35 << 20)
    schema = recipe.schema_with_hostname
    assert (schema.version, schema.apply, list(schema.settings)) == (2, ("/bin/apply",), ["hostname", "level"])
    assert schema.settings["level"].default == 3
    assert recipe.health and recipe.health.interval == 5
    assert "web:x:800:800:web:/srv/web:/bin/false\n" in recipe.accounts.dump_passwd()
    assert "tls:x:900:web\n" in recipe.accounts.dump_group()


def test_every_appliance_has_a_hostname(tmp_path: Path) -> None:
    assert list(load_recipe(write(tmp_path, SMALL)).schema_with_hostname.settings) == ["hostname"]


def test_services_stay_in_order_where_nothing_says_otherwise(tmp_path: Path) -> None:
    services = "".join(f'[[services]]\nname = "{name}"\nargv = ["/x"]\n' for name in ("c", "a", "b"))
    recipe = load_recipe(write(tmp_path, SMALL + services))
    assert [service.name for service in order_services(recipe.services)] == ["c", "a", "b"]


def test_a_recipe_may_be_a_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(SMALL)
    assert load_recipe(tmp_path / "other.toml").name == "small"
    assert recipe_place(str(tmp_path / "other.toml")) == tmp_path / "other.toml"
    assert recipe_folder(str(tmp_path / "other.toml")) == tmp_path


def test_the_reference_has_every_key() -> None:
    page = (REPOSITORY / "docs" / "reference" / "recipe.md").read_text()
    for model in (Recipe, Service, Health, Setting, SettingsSchema, Account, Permission):
        for key in set(model.model_fields) - {"settings"}:
            assert f"`{key}`" in page, f"docs/reference/recipe.md does not have {key}"


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no recipe at"):
        load_recipe(tmp_path)


def test_recipes_that_come_along_are_found_by_name(tmp_path: Path) -> None:
    assert load_recipe(recipe_folder("sniffer")).wire
    assert recipe_folder(str(tmp_path)) == tmp_path
    with pytest.raises(NotFound, match="base"):
        recipe_folder("no-such-appliance")


@pytest.mark.parametrize("folder", sorted(path.parent for path in share_folder("appliances").glob("*/recipe.toml")))
def test_every_appliance_is_sound_and_explained(folder: Path) -> None:
    recipe = load_recipe(folder)
    assert recipe.name == folder.name
    assert recipe.description
    assert recipe.memory <= 96 << 20
    assert (folder / "README.md").is_file()
