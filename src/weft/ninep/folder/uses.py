"""What a server of a directory keeps in mind about files, by the number in their qid."""

from collections import OrderedDict

from weft.ninep.words import IN_USE, Mode, NinepError

_MARKS = int(Mode.APPEND | Mode.EXCLUSIVE | Mode.TMP)
_MOST_MARKED = 65536
_REMEMBERED = 4096
TOO_MANY = "Too many open files"


class Uses:
    """Who has what open, what was just changed, and the marks that the host's file systems have no place for.

    Marks are kept as long as the server runs. Of changes it remembers the last ones: they matter while the kernel's
    clock stands still.
    """

    def __init__(self, limit: int) -> None:
        """At most `limit` files are open at once."""
        self._limit = limit
        self._total = 0
        self._open: dict[int, int] = {}
        self._marks: dict[int, int] = {}
        self._changes: OrderedDict[int, int] = OrderedDict()
        self._count = 0

    def marks(self, number: int) -> int:
        """Those of a file, as bits of its mode."""
        return self._marks.get(number, 0)

    def mark(self, number: int, mode: int) -> None:
        """From now on the file has the marks of `mode`."""
        marks = mode & _MARKS
        if marks:
            self._marks[number] = marks
        else:
            self._marks.pop(number, None)

    def refuse_marks(self, mode: int) -> None:
        """Raises NinepError when `mode` has marks, and too many files have some."""
        if mode & _MARKS and len(self._marks) >= _MOST_MARKED:
            raise NinepError("too many files with marks")

    def begin(self, number: int) -> None:
        """Somebody opens the file. Raises NinepError when it is for one at a time, or too much is open."""
        if self._open.get(number) and self.marks(number) & Mode.EXCLUSIVE:
            raise NinepError(IN_USE)
        if self._total >= self._limit:
            raise NinepError(TOO_MANY)
        self._open[number] = self._open.get(number, 0) + 1
        self._total += 1

    def end(self, number: int) -> None:
        """One who had it open has it no more."""
        self._total -= 1
        left = self._open[number] - 1
        if left:
            self._open[number] = left
        else:
            del self._open[number]

    def change(self, number: int) -> None:
        """The file was changed now."""
        self._count += 1
        self._changes[number] = self._count
        self._changes.move_to_end(number)
        if len(self._changes) > _REMEMBERED:
            self._changes.popitem(last=False)

    def changes(self, number: int) -> int:
        """Another number after each change."""
        return self._changes.get(number, 0)

    def forget(self, number: int) -> None:
        """The file is no more."""
        self._marks.pop(number, None)
