"""`image/` and `kernel/`: what machines boot. Files that commands name are the host's, by absolute paths."""

from collections.abc import Mapping
from datetime import datetime

from weft.filetree.api import Api
from weft.filetree.archives import send_archive
from weft.filetree.commands import Command, shows, table
from weft.filetree.kinds import Kind
from weft.filetree.machine_commands import ignore
from weft.filetree.nodes import Make
from weft.filetree.streams import stream
from weft.filetree.views import View
from weft.filetree.words import dump_row

ALL_IMAGES = table(
    Command(
        "pull", "REFERENCE", "Has an image from a registry.", ("image pull",),
        lambda client, _subject, given: client.pull_image(given["reference"], ignore),
    ),
    Command(
        "build", "RECIPE [name=NAME]", "Builds an image from a recipe's folder or file, or its name.", ("image build",),
        lambda client, _subject, given: client.build_image(given["recipe"], ignore, name=given["name"]),
    ),
    Command(
        "import", "FILE [name=NAME] [kind=plan9]", "Takes the images of an archive, or of a folder with an OCI layout.",
        ("image import",),
        lambda client, _subject, given: client.import_image(
            send_archive(given["file"]), ignore, name=given["name"], kind=given["kind"]
        ),
    ),
    Command(
        "prune", "[all]", "Removes what no image needs; with `all` also OCI images that no machine boots.",
        ("image prune",), lambda client, _subject, given: client.prune_images(all=given["all"]),
    ),
)  # fmt: skip
EACH_IMAGE = table(
    Command(
        "tag", "NEW", "Gives it another name as well.", ("image tag",),
        lambda client, name, given: client.tag_image(name, given["new"]),
    ),
    Command(
        "push", "[reference=REFERENCE]", "Has it in a registry, under its own name or another.", ("image push",),
        lambda client, name, given: client.push_image(name, ignore, reference=given["reference"]),
    ),
    Command(
        "remove", "", "Removes it, if no machine uses it.", ("image rm",),
        lambda client, name, _given: client.remove_image(name),
    ),
)  # fmt: skip
ALL_KERNELS = table(
    Command(
        "build", "[name=NAME] [source=FOLDER]", "Builds the machines' kernel.", ("kernel build",),
        lambda client, _subject, given: client.build_kernel(ignore, name=given["name"], source=given["source"]),
    ),
    Command(
        "import", "FILE [name=NAME]", "Takes a kernel in.", ("kernel import",),
        lambda client, _subject, given: client.import_kernel(given["file"], name=given["name"]),
    ),
)  # fmt: skip
EACH_KERNEL = table(
    Command(
        "remove", "", "Removes it, if no machine uses it.", ("kernel rm",),
        lambda client, name, _given: client.remove_kernel(name),
    ),
)  # fmt: skip


def dump_image(view: View) -> str:
    """name, kind, version, bytes of its root, memory of a machine, created, digest, description."""
    numbers = [view["size"], view["memory"], _dump_time(view["created"])]
    return dump_row([view["name"], view["kind"], view["version"], *numbers, view["digest"], view["description"]])


def dump_kernel(view: View) -> str:
    """name, release, format, bytes, created, digest, where it comes from."""
    names, size = (view["name"], view["release"], view["format"]), view["size"]
    return dump_row([*names, size, _dump_time(view["created"]), view["digest"], view["origin"]])


def _dump_time(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def image_files(api: Api, name: str) -> Mapping[str, Make]:
    """What there is of an image beside what every kind has."""

    return {
        "schema": shows(api, lambda client: client.image_schema(name)),
        "sbom": shows(api, lambda client: client.image_sbom(name)),
        "archive": stream(lambda: api.open(lambda client: client.open_export(name))),
    }


IMAGES = Kind(lambda client: client.images(), dump_image, ALL_IMAGES, EACH_IMAGE, more=image_files)
KERNELS = Kind(lambda client: client.kernels(), dump_kernel, ALL_KERNELS, EACH_KERNEL)
