"""How elastic machines are: show, set, explain."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import ELASTIC
from weft.cli.printing import dump_memory, print_json, print_table
from weft.model.elastic import ElasticPolicy, PolicyMode
from weft.model.errors import Invalid
from weft.model.policy_words import parse_value
from weft.model.units import dump_duration, dump_size

_TITLES = ("RESOURCE", "MINIMUM", "MAXIMUM", "GRANTED", "QEMU", "GUEST", "MECHANISM", "REQUEST")
_TIMES = frozenset({"cpu_after", "memory_after", "down_after", "remember", "ask_holds"})
_SIZES = frozenset({"memory_headroom"})


@click.group(short_help="How machines grow and shrink by themselves.")
def elastic() -> None:
    """Elastic machines: what they may have, by which policy they grow and shrink, and why they did.

    `weft run --cpus 1..4 --memory 128M..2G --elastic` makes one.
    """


@elastic.command(short_help="Show ranges, sizes and the policy.")
@click.argument("name", type=ELASTIC)
@format_option
@click.pass_obj
def show(face: Face, name: str, output: str) -> None:
    """Show what machine NAME may have, what it has, what became of the last wish for another size, and its policy."""
    view = face.client().elastic(name)
    if output == "json":
        print_json(view)
        return
    print_table(_TITLES, (_row(key, view[key]) for key in ("cpus", "memory")))
    print()
    print_table(("POLICY", "VALUE"), _list_policy(view["policy"]))


@elastic.command("set", short_help="Change the policy of a machine.")
@click.argument("name", type=ELASTIC)
@click.argument("values", nargs=-1, metavar="[KEY=[VALUE]]...")
@click.option("--mode", type=click.Choice([mode.value for mode in PolicyMode]), help="Whether it changes by itself.")
@format_option
@click.pass_obj
def set_(face: Face, name: str, values: tuple[str, ...], mode: str | None, output: str) -> None:
    """Change the policy of machine NAME, at once. Keys are those that `show` lists; without a VALUE the default.
    A share may be written as `90%`, a time as `5m`, a size as `32M`.

    What it may have at most is changed by `weft update`, with a start.
    """
    policy = dict(map(_parse_value, values)) | ({"mode": mode} if mode else {})
    if not policy:
        raise click.UsageError("nothing to change", click.get_current_context())
    client = face.client()
    client.elastic(name)  # whose size is fixed has no policy
    client.update_machine(name, {"elastic": {"policy": policy}})
    view = client.elastic(name)["policy"]
    if output == "json":
        print_json(view)
    else:
        print(name)


@elastic.command(short_help="Say what a machine did last and why, and what it waits for.")
@click.argument("name", type=ELASTIC)
@format_option
@click.pass_obj
def explain(face: Face, name: str, output: str) -> None:
    """Say what became of the size of machine NAME last and why, and what its policy waits for now."""
    account = face.client().elastic_account(name)
    if output == "json":
        print_json(account)
    else:
        print(account["text"])


def _row(key: str, view: Mapping[str, Any]) -> tuple[object, ...]:
    sizes = [view[column] for column in ("minimum", "maximum", "granted", "qemu", "guest")]
    dump = dump_memory if key == "memory" else str
    request = view["request"]
    told = f"{dump(request['wanted'])} {request['state']}, by {request['by']}" if request else None
    return (key, *(None if size is None else dump(size) for size in sizes), view["mechanism"] or None, told)


def _list_policy(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in policy.items():
        dump = dump_duration if key in _TIMES else dump_size if key in _SIZES else str
        yield key, dump(value)


def _parse_value(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` or `KEY=`. Raises Invalid."""
    key, sign, value = text.partition("=")
    if not sign or key not in ElasticPolicy.model_fields:
        raise Invalid(f"{text!r} is not KEY=VALUE with a key of a policy", hint="weft elastic show lists them")
    if not value:
        return key, ElasticPolicy.model_fields[key].default
    return key, parse_value(key, value)
