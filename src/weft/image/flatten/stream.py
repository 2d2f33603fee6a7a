"""The merged tree as a tar, written into a pipe; contents go there from the layers' files without a copy here."""

import os
from collections.abc import Callable, Sequence

from weft.image.flatten.layers import Layer
from weft.image.flatten.limits import Budget
from weft.image.flatten.members import Kind
from weft.image.flatten.merge import Inode, Merger
from weft.image.flatten.tarwrite import END, dump_header, dump_link, dump_padding
from weft.model.errors import Invalid

_SMALL, _BATCH = 1 << 16, 1 << 18
"""Contents up to the first are gathered, and written when there is as much as the second."""
_HOLE = bytes(1 << 16)
_TOLD = 1 << 24
"""Bytes of contents between two messages about it."""


class ContentStream:
    """Writes contents of layers' files one after the other. Bounded memory: it holds one batch."""

    def __init__(self, layers: Sequence[Layer], output: int) -> None:
        self._layers, self._output = layers, output
        self._batch: list[bytes] = []
        self._gathered = 0

    def write_content(self, inode: Inode) -> None:
        """The content of a file. Raises Invalid when its layer has become shorter."""
        source, at, offset = self._layers[inode.layer], 0, inode.data
        for start, length in inode.extents if inode.extents is not None else ((0, inode.size),):
            self._write_hole(start - at)
            self._copy(source, offset, length)
            at, offset = start + length, offset + length
        self._write_hole(inode.size - at)

    def _write_hole(self, length: int) -> None:
        while length > 0:
            self.put(_HOLE[:length])
            length -= len(_HOLE)

    def _copy(self, source: Layer, offset: int, length: int) -> None:
        if length <= _SMALL:
            data = source.read(offset, length)
            if len(data) < length:
                raise Invalid("a layer has become shorter while it was read")
            self.put(data)
            return
        self.flush()
        while length:
            sent = os.sendfile(self._output, source.descriptor, offset, length)
            if not sent:
                raise Invalid("a layer has become shorter while it was read")
            offset, length = offset + sent, length - sent

    def put(self, data: bytes) -> None:
        """Bytes that come next."""
        self._batch.append(data)
        self._gathered += len(data)
        if self._gathered >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered. To be called at the end."""
        view = memoryview(b"".join(self._batch))
        self._batch, self._gathered = [], 0
        while view:
            view = view[os.write(self._output, view) :]


class TarStream(ContentStream):
    """Writes a merged tree."""

    def __init__(self, tree: Merger, layers: Sequence[Layer], output: int) -> None:
        super().__init__(layers, output)
        self._tree = tree

    def write(self, budget: Budget, tell: Callable[[int], None]) -> None:
        """All of it; `tell` gets the bytes of contents so far. Raises BrokenPipeError when the reader has gone, NoRoom,
        Stopped, Invalid when a layer has become shorter."""
        first: dict[Inode, bytes] = {}
        done = 0
        tell(done)
        for path, inode in self._tree:
            if inode in first:
                self.put(dump_link(path, first[inode]))
                continue
            if inode.kind is not Kind.FOLDER:
                first[inode] = path
            budget.take_content(inode.size)
            self.put(dump_header(path, inode))
            if inode.size:
                self.write_content(inode)
                self.put(dump_padding(inode.size))
                if (done + inode.size) // _TOLD > done // _TOLD:
                    tell(done + inode.size)
                done += inode.size
        self.put(END)
        self.flush()
        tell(done)
