"""Where files are: names below a directory. A fid keeps its place, not a descriptor, so that there may be many."""

from weakref import WeakValueDictionary

from weft.ninep.words import MAX_NAME, NOT_FOUND, NinepError

BAD_NAME = "illegal name"


class Place:
    """A name in a directory's place. All that are at the same place share one, so a rename is known to all of them."""

    __slots__ = ("__weakref__", "_below", "_gone", "_name", "_parent")

    def __init__(self, parent: "Place | None" = None, name: bytes = b"") -> None:
        self._parent = parent
        self._name = name
        self._gone = False
        self._below: WeakValueDictionary[bytes, Place] | None = None

    @property
    def parent(self) -> "Place":
        """The root is its own."""
        return self._parent or self

    @property
    def is_root(self) -> bool:
        return self._parent is None

    @property
    def is_gone(self) -> bool:
        """Whether the server has removed what was here."""
        return self._gone

    @property
    def name(self) -> bytes:
        return self._name

    @property
    def path(self) -> bytes:
        """From the root; the root's is empty. Raises NinepError when the server has removed it meanwhile."""
        names, at = [], self
        while at._parent is not None:
            if at._gone:
                raise NinepError(NOT_FOUND)
            names.append(at._name)
            at = at._parent
        return b"/".join(reversed(names))

    def below(self, name: bytes) -> "Place":
        """The place of this name in this one."""
        if self._below is None:
            self._below = WeakValueDictionary()
        place = self._below.get(name)
        if place is None:
            place = self._below[name] = Place(self, name)
        return place

    def rename(self, name: bytes) -> None:
        """What is here is now called `name`."""
        if self._parent is None or self._parent._below is None:
            return
        self._parent._below.pop(self._name, None)
        self._parent._below[name] = self
        self._name = name

    def leave(self) -> None:
        """What was here is gone: what comes here later is something else."""
        self._gone = True
        if self._parent is not None and self._parent._below is not None:
            self._parent._below.pop(self._name, None)


def parse_name(name: str) -> bytes:
    """A client's name for a file as the host has it. Raises NinepError for one that would be a path."""
    raw = name.encode(errors="replace")
    if not raw or raw in (b".", b"..") or b"/" in raw or b"\0" in raw or len(raw) > MAX_NAME:
        raise NinepError(BAD_NAME)
    return raw


def find_name(raw: bytes) -> str | None:
    """A host's name for a file as clients see it; None if it cannot be said in 9P."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
