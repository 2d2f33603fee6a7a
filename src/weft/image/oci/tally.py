"""How far a transfer is."""

from weft.image.progress import Progress

STEP = 0.01


class Tally:
    """Counts bytes, and tells of them whenever a hundredth more has come."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        self._told = -1.0

    def count(self, size: int) -> None:
        """So many more; fewer when some were thrown away."""
        self._done += size
        fraction = self._done / self._total if self._total else 1.0
        if abs(fraction - self._told) >= STEP:
            self._told = fraction
            self._progress(f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB", fraction)
