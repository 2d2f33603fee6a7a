"""What differs between rooms as they are and a file, in words, and apart from how one becomes the other. Pure."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from weft.model.steps import Kind, Plan, Step, Verb

Sign = Literal["+", "-", "~"]
_SIGNS: dict[Verb, Sign] = {Verb.CREATE: "+", Verb.BUILD: "+", Verb.PULL: "+", Verb.REMOVE: "-"}


class Difference(BaseModel):
    """One part of a room: that is not there yet (`+`), is there and not in the file (`-`), or is otherwise (`~`)."""

    model_config = ConfigDict(frozen=True)

    room: str
    kind: Kind
    name: str = Field(description="as the file has it")
    sign: Sign
    lines: tuple[str, ...] = Field(description="which field, what it is and what it is to be")


def find_differences(plan: Plan) -> list[Difference]:
    """A plan's differences, each part once, in the order of the plan."""
    parts: dict[tuple[str, Kind, str], list[Step]] = {}
    for step in plan.steps:
        parts.setdefault((step.room, step.kind, step.stands_for or step.name), []).append(step)
    return [
        Difference(room=room, kind=kind, name=name, sign=_find_sign(steps), lines=_find_lines(steps))
        for (room, kind, name), steps in parts.items()
    ]


def _find_sign(steps: Sequence[Step]) -> Sign:
    """What is taken away and made again is neither new nor gone."""
    signs = {_SIGNS.get(step.verb, "~") for step in steps}
    if {"+", "-"} <= signs:
        return "~"
    return "+" if "+" in signs else "-" if "-" in signs else "~"


def _find_lines(steps: Sequence[Step]) -> tuple[str, ...]:
    """Reasons, each once. Those of a start after another step are that step's."""
    told = [step for step in steps if step.verb is not Verb.START] or steps
    return tuple(dict.fromkeys(line for step in told for line in step.why))


def dump_differences(differences: Sequence[Difference], name: str) -> str:
    """As a text that reads like a difference between two files; empty when there is none."""
    if not differences:
        return ""
    lines = ["--- as it is", f"+++ {name}"]
    room: str | None = None
    for one in differences:
        if one.room != room:
            room = one.room
            lines.append(f"@@ {f'room {room}' if room else 'images'} @@")
        lines.append(f"{one.sign} {one.kind} {one.name}")
        lines += [f"      {line}" for line in one.lines]
    return "\n".join(lines) + "\n"
