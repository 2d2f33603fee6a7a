"""A plan in the making: steps, what each has to wait for, and in the end their order. Pure."""

from typing import Any

from weft.model.steps import Kind, Step, Verb


class Draft:
    """Steps in the order in which they were thought of, and who needs whom."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._needs: dict[str, dict[str, None]] = {}
        self._wishes: list[tuple[str, str]] = []

    def __contains__(self, key: str) -> bool:
        return key in self._steps

    def add(self, room: str, kind: Kind, name: str, verb: Verb, mark: str = "", **rest: Any) -> str:
        """Another step; its key. `mark` stands in the key in place of the verb, where one verb comes twice."""
        key = "/".join(filter(None, (room, kind, name, mark or verb)))
        assert key not in self._steps, f"{key} is there already"
        self._steps[key] = Step(key=key, room=room, kind=kind, name=name, verb=verb, **rest)
        self._needs[key] = {}
        return key

    def find(self, key: str) -> Step:
        """A step, without what it waits for."""
        return self._steps[key]

    def keys(self, room: str) -> list[str]:
        """All steps of a room."""
        return [key for key, step in self._steps.items() if step.room == room]

    def needs_any(self, key: str, room: str) -> bool:
        """Whether a step waits for another one of this room already."""
        return any(self._steps[other].room == room for other in self._needs[key])

    def need(self, key: str | None, *others: str | None) -> None:
        """A step is possible only after others. What is None is no step, and nothing waits for it."""
        if key is not None:
            self._needs[key].update((other, None) for other in others if other is not None and other != key)

    def prefer(self, key: str | None, *others: str | None) -> None:
        """A step had better come after others; that is forgotten where it is not possible."""
        self._wishes += [(key, other) for other in others if key and other and key != other]

    def steps(self) -> tuple[Step, ...]:
        """All steps, in an order in which they could be taken one by one: the first thought of first."""
        for key, other in self._wishes:
            if not self._leads(other, key):
                self._needs[key][other] = None
        self._wishes.clear()
        waiting, done = list(self._steps), dict[str, Step]()
        while waiting:
            ready = [key for key in waiting if self._needs[key].keys() <= done.keys()]
            assert ready, f"steps wait for each other: {', '.join(waiting)}"
            for key in ready:
                done[key] = self._steps[key].model_copy(update={"after": tuple(self._needs[key])})
            waiting = [key for key in waiting if key not in done]
        return tuple(done.values())

    def _leads(self, start: str, goal: str) -> bool:
        """Whether `start` waits for `goal`, by whatever way."""
        seen, ahead = {start}, [start]
        while ahead:
            here = ahead.pop()
            if here == goal:
                return True
            new = self._needs[here].keys() - seen
            seen |= new
            ahead += new
        return False
