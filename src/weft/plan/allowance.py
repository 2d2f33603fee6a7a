"""How often something may happen: a burst at once, then as much as comes back with time. The clock is the caller's."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """A bucket of `burst` tokens that fills up by `per_second`. `passed_over` were too many since the last take."""

    burst: int
    per_second: float
    passed_over: int = 0
    _left: float = field(init=False)
    _seen: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._left = float(self.burst)

    def take(self, now: float) -> bool:
        """Whether it may happen now, in seconds of a clock that may jump back."""
        since = 0.0 if self._seen is None else max(0.0, now - self._seen)
        self._seen = now
        self._left = min(float(self.burst), self._left + since * self.per_second)
        if self._left < 1.0:
            self.passed_over += 1
            return False
        self._left -= 1.0
        self.passed_over = 0
        return True
