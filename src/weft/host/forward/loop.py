"""The loop: descriptors, and what is wanted of them."""

import select
from collections.abc import Callable

IN, OUT, BROKEN = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP

Handler = Callable[[int], None]


class Loop:
    """Descriptors, what is wanted of each, and who is told."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._masks: dict[int, int] = {}

    def want(self, fd: int, mask: int, handler: Handler) -> None:
        """Be told of these events, and whatever they are, of an error."""
        self._handlers[fd] = handler
        if fd not in self._masks:
            self._epoll.register(fd, mask)
        elif mask != self._masks[fd]:
            self._epoll.modify(fd, mask)
        self._masks[fd] = mask

    def forget(self, fd: int) -> None:
        """Be told nothing more. To be called before a descriptor is closed."""
        if self._masks.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            del self._handlers[fd]

    def step(self, timeout: float | None) -> None:
        """Tell whoever something happens to, within so many seconds."""
        for fd, events in self._epoll.poll(timeout):
            # What an earlier event of this round has closed, or left out, is not told any more.
            if handler := self._handlers.get(fd):
                handler(events)
