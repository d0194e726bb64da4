"""A box for one item between two threads: the newest wins, nothing queues, and what was replaced is counted."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds at most one item. Any thread may put, take or close."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._replaced = 0
        self._closed = False

    def put(self, item: Item) -> None:
        """Leave `item`, replacing one that was not taken. Never blocks; ignored once the box is closed."""
        with self._condition:
            if self._closed:
                return
            self._replaced += self._item is not None
            self._item = item
            self._condition.notify()

    def offer(self, item: Item) -> None:
        """Leave `item` only where nothing newer waits."""
        with self._condition:
            if self._item is None and not self._closed:
                self._item = item
                self._condition.notify()

    def take(self, timeout_s: float = 0.0) -> Item | None:
        """The item, or None when none came within `timeout_s` or the box was closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def clear(self) -> None:
        """Throw the waiting item away without counting it as replaced."""
        with self._condition:
            self._item = None

    def close(self) -> None:
        """Wake whoever waits; from now on nothing comes in."""
        with self._condition:
            self._closed = True
            self._item = None
            self._condition.notify_all()

    @property
    def replaced(self) -> int:
        """How many items were replaced by a newer one before anybody took them."""
        with self._condition:
            return self._replaced
