"""Small images of a session, read in a thread of their own: the newest request counts. No Qt."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.live.mailbox import Mailbox
from app.live.workers import WAIT_S, Worker
from handdgp_core.errors import HandDGPError
from handdgp_core.sessions import SessionReader

KEPT = 200
WIDTH_PX = 192


class ThumbnailWorker(Worker):
    """Reads the image that was requested last.

    Args:
        session: shared with the player; closed by that.
        show: called in this thread with the frame's number and its (height, width, 3) RGB image.
    """

    def __init__(self, session: SessionReader, show: Callable[[int, NDArray[np.uint8]], None]) -> None:
        super().__init__("thumbnails", lambda event: None)
        self._session, self._show = session, show
        self._requested: Mailbox[int] = Mailbox()
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def ask(self, index: int) -> None:
        """Read frame `index` next. Returns at once."""
        self._requested.put(index)

    def _wake(self) -> None:
        self._requested.close()

    def _run(self) -> None:
        while not self.stopping:
            index = self._requested.take(WAIT_S)
            if index is None:
                continue
            picture = self._kept.get(index)
            if picture is None:
                try:
                    picture = self._session.thumbnail(index, WIDTH_PX)
                except (HandDGPError, ValueError):  # a damaged frame, or the file was closed meanwhile
                    continue
                self._kept[index] = picture
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._show(index, picture)
