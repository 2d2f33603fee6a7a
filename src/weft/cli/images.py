"""Images: ls, build, inspect, tag, rm, prune; what moves them is in `transfers`."""

from pathlib import Path
from typing import Any

import click

from weft.cli import transfers
from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import IMAGE
from weft.cli.printing import dump_age, dump_digest, dump_memory, print_json, print_table, print_view


@click.group(short_help="Build and look at images.")
def image() -> None:
    """Images: what machines boot, read-only and shared by all that boot it."""


for command in (transfers.pull, transfers.push, transfers.import_, transfers.export):
    image.add_command(command)


@image.command(short_help="List images.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the images."""
    views = face.client().images()
    if output == "json":
        print_json(views)
        return
    titles = ("NAME", "KIND", "VERSION", "SIZE", "MEMORY", "DIGEST", "AGE", "DESCRIPTION")
    print_table(titles, map(_row, views))


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    return (
        view["name"],
        view["kind"],
        view["version"],
        dump_memory(view["size"]),
        dump_memory(view["memory"]),
        dump_digest(view["digest"]),
        dump_age(view["created"]),
        view["description"],
    )


def find_recipe(text: str) -> str:
    """A recipe's folder or file as an absolute path, or a name for the daemon to find."""
    place = Path(text)
    if (place / "recipe.toml").is_file() or (place.suffix == ".toml" and place.is_file()):
        return str(place.absolute())
    return str(place.absolute()) if "/" in text else text


@image.command(short_help="Build images from recipes.")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@click.option("-t", "--tag", "name", metavar="NAME", help="Name the image so, not as its recipe says.")
@click.option("--template", is_flag=True, help="Also make the template that its machines go on from.")
@format_option
@click.pass_obj
def build(face: Face, recipes: tuple[str, ...], name: str | None, template: bool, output: str) -> None:
    """Build images from RECIPEs: folders with a recipe.toml, files like it, or names of recipes that come with Weft.

    Nothing is built anew that is the same as before. An image that is above its recipe's budget is not kept, and what
    is big in it is shown. Prints each image's name and digest.
    """
    from weft.cli.progress import open_progress

    if name and len(recipes) > 1:
        raise click.UsageError(f"one name for {len(recipes)} images")
    client, manifests = face.client(), []
    for recipe in map(find_recipe, recipes):
        with open_progress(f"image {Path(recipe).name}") as progress:
            manifests.append(client.build_image(recipe, progress, name=name))
        if template:
            client.create_template({"image": manifests[-1]["name"]})
        if output != "json":
            print(manifests[-1]["name"], dump_digest(manifests[-1]["digest"]), flush=True)
    if output == "json":
        print_json(manifests)


@image.command(short_help="Look at one image.")
@click.argument("name", type=IMAGE)
@format_option
@click.pass_obj
def inspect(face: Face, name: str, output: str) -> None:
    """Show everything about the image NAME, which may also be the beginning of its digest."""
    view = face.client().image(name)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@image.command(short_help="Give an image another name.")
@click.argument("name", type=IMAGE)
@click.argument("new", metavar="NEW")
@format_option
@click.pass_obj
def tag(face: Face, name: str, new: str, output: str) -> None:
    """Give the image NAME the name NEW as well: a label such as `web`, or a reference such as localhost:5000/web:1."""
    view = face.client().tag_image(name, new)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@image.command(short_help="Show what can be set.")
@click.argument("name", type=IMAGE)
@click.pass_obj
def schema(face: Face, name: str) -> None:
    """Print the settings of appliance NAME as a JSON Schema (draft 2020-12), for editors and forms."""
    print_json(face.client().image_schema(name))


@image.command(short_help="Show what an image is made of.")
@click.argument("name", type=IMAGE)
@click.pass_obj
def sbom(face: Face, name: str) -> None:
    """Print what appliance NAME is made of: the CycloneDX document that lies in its image."""
    print_json(face.client().image_sbom(name))


@image.command(short_help="Remove images.")
@click.argument("names", nargs=-1, required=True, type=IMAGE, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, names: tuple[str, ...], output: str) -> None:
    """Remove images that no machine uses."""
    client = face.client()
    for_each(names, client.remove_image, output)


@image.command(short_help="Remove what nobody needs.")
@click.option("--all", "-a", "everything", is_flag=True, help="Also OCI images that no machine boots.")
@format_option
@click.pass_obj
def prune(face: Face, everything: bool, output: str) -> None:
    """Remove layers that belong to no image any more, and parts of pulls that were cut off.

    Appliances stay: `weft image rm` removes them.
    """
    report = face.client().prune_images(all=everything)
    if output == "json":
        print_json(report)
        return
    for name in report["images"]:
        print(name)
    print(f"{dump_memory(report['freed'])} freed")
