"""A file or directory that was walked to."""

import os
from contextlib import suppress

from weft.ninep.folder.changing import change_file
from weft.ninep.folder.facts import Facts, read_facts
from weft.ninep.folder.making import make_directory, make_file, mask_perm, remove_file
from weft.ninep.folder.opened import READ_DIRECTORY, FolderFile, FolderListing, plan_flags
from weft.ninep.folder.places import Place, parse_name
from weft.ninep.folder.root import Root, look_served
from weft.ninep.tree import Node, OpenFile
from weft.ninep.words import (
    IS_DIR,
    NOT_DIR,
    PERMISSION,
    Access,
    Mode,
    NinepError,
    OpenMode,
    Qid,
    Stat,
    StatChange,
)

_EXECUTABLE = 0o111


class FolderNode(Node):
    """A place in the directory that is served. It has no descriptor."""

    def __init__(self, root: Root, place: Place, *, top: Place | None = None, facts: Facts | None = None) -> None:
        """`top` is the root of its attach, where `..` ends; `facts` are what is known of it already."""
        self._root = root
        self._place = place
        self._top = top or root.place
        self._facts = facts or root.look(place)
        self._just_seen = True

    def as_root(self) -> "FolderNode":
        """The same as the root of an attach."""
        return FolderNode(self._root, self._place, top=self._place, facts=self._facts)

    @property
    def qid(self) -> Qid:
        """What it is now; when it is gone, what it was. At first, what the walk has seen."""
        if self._just_seen:
            self._just_seen = False
        else:
            with suppress(NinepError):
                self._facts = self._root.look(self._place)
        return self._root.qid(self._facts)

    async def stat(self) -> Stat:
        return self._root.stat(self._root.look(self._place), b"" if self._place is self._top else self._place.name)

    async def walk(self, name: str) -> "FolderNode":
        if not self._facts.is_dir:
            raise NinepError(NOT_DIR)
        if name == "..":
            above = self._place if self._place is self._top else self._place.parent
            return self._at(above, self._root.look(above))
        raw = parse_name(name)
        with self._root.directory(self._place) as fd:
            return self._at(self._place.below(raw), look_served(fd, raw))

    async def open(self, mode: OpenMode) -> OpenFile:
        facts = self._root.look(self._place)
        if facts.is_dir:
            return self._open_listing(mode)
        if mode.changes:
            self._root.refuse_changes()
        if mode.remove_on_close:
            self._refuse_unless_removable()
        if mode.access is Access.EXEC and not facts.mode & _EXECUTABLE:
            raise NinepError(PERMISSION)
        fd = self._root.open(self._place, plan_flags(mode, self._root.uses.marks(facts.number)))
        return FolderFile(self, self._root, fd, mode)

    async def create(self, name: str, perm: int, mode: OpenMode) -> OpenFile:
        if not self._facts.is_dir:
            raise NinepError(NOT_DIR)
        self._root.refuse_changes()
        self._root.uses.refuse_marks(perm)
        place = self._place.below(parse_name(name))
        with self._root.directory(self._place) as fd:
            facts = read_facts(fd, b"")
            make = self._create_directory if perm & Mode.DIR else self._create_file
            opened = make(fd, place, mask_perm(perm, facts), mode)
            self._root.uses.change(facts.number)
        return opened

    async def remove(self) -> None:
        self._root.refuse_changes()
        if self._place is self._top:
            raise NinepError(PERMISSION)
        remove_file(self._root, self._place, self._facts)

    async def wstat(self, change: StatChange) -> None:
        if self._place is self._top and change.name is not None:
            raise NinepError(PERMISSION)
        await change_file(self._root, self._place, change)

    def _at(self, place: Place, facts: Facts) -> "FolderNode":
        return FolderNode(self._root, place, top=self._top, facts=facts)

    def _open_listing(self, mode: OpenMode) -> FolderListing:
        """Reads nothing yet: sees only whether one may."""
        if mode.changes:  # it has come in a file's place
            raise NinepError(IS_DIR)
        with self._root.directory(self._place, READ_DIRECTORY):
            return FolderListing(self, self._root, self._place)

    def _refuse_unless_removable(self) -> None:
        """Raises NinepError where a removal would fail for want of rights."""
        with self._root.directory(self._place.parent) as fd:
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=True):
                raise NinepError(PERMISSION)

    def _create_file(self, directory: int, place: Place, perm: int, mode: OpenMode) -> FolderFile:
        fd = make_file(directory, place.name, perm, plan_flags(mode, perm))
        facts = read_facts(fd, b"")
        self._root.uses.mark(facts.number, perm)
        try:
            return FolderFile(self._at(place, facts), self._root, fd, mode)
        except NinepError:  # too much is open
            self._root.uses.forget(facts.number)
            os.unlink(place.name, dir_fd=directory)
            raise

    def _create_directory(self, directory: int, place: Place, perm: int, _mode: OpenMode) -> FolderListing:
        facts = make_directory(directory, place.name, perm)
        self._root.uses.mark(facts.number, perm)
        return FolderListing(self._at(place, facts), self._root, place)
