"""The two that make pictures: a child process with Open3D, and a thread with the 2D painter.

Both take one request at a time (`busy` until answered), never block the caller, and are asked for news with `poll`.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from app.viewport.painter import paint
from app.viewport.protocol import BLOCK_BYTES, RenderBlock, RenderRequest
from app.viewport.render_process import STOP, render_main

__all__ = ["PainterThread", "Picture", "RenderChild"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """A finished picture: (height, width, 3) uint8 RGB of its own, the request it answers, and what it cost."""

    pixels: NDArray[np.uint8]
    request: RenderRequest
    render_ms: float
    backend: Literal["open3d", "painter"]


def reserved_memory(size: int) -> SharedMemory:
    """Shared memory whose pages are there: where /dev/shm is full this fails, and not a later write with SIGBUS.

    Raises:
        OSError: there is no room.
    """
    memory = SharedMemory(create=True, size=size)
    place = Path("/dev/shm") / memory.name
    if sys.platform != "linux" or not place.exists():
        return memory
    try:
        handle = os.open(place, os.O_RDWR)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)
    except OSError:
        memory.close()
        memory.unlink()
        raise
    return memory


class RenderChild:
    """One render process with its pipe and shared memory.

    Args:
        environment: as in `render_main`.
        render_limit: as in `render_main`.

    Attributes:
        state: "starting", "ready" or "dead".
        was_ready: it has made a picture at least once.
        expired: the child asks for a replacement.
        reason: why it died, where it could tell.
        started_s: `time.monotonic()` of the start.

    Raises:
        OSError: no process, pipe or shared memory to be had.
    """

    def __init__(self, environment: Mapping[str, str | None], render_limit: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.state: Literal["starting", "ready", "dead"] = "starting"
        self.was_ready, self.expired, self.reason, self.started_s = False, False, "", time.monotonic()
        self._asked: RenderRequest | None = None
        self._asked_s = 0.0
        self._memory = reserved_memory(BLOCK_BYTES)
        self._block = RenderBlock(cast("memoryview", self._memory.buf))
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self._memory.name, dict(environment), render_limit, (160, 120))
        self._process = context.Process(target=render_main, args=arguments, name="handdgp-3d", daemon=True)
        try:
            self._process.start()
        except OSError:
            self._release()
            raise
        finally:
            theirs.close()

    @property
    def busy(self) -> bool:
        """A request is on its way."""
        return self._asked is not None

    @property
    def waited_s(self) -> float:
        """How long the present request has been unanswered; 0 without one."""
        return time.monotonic() - self._asked_s if self.busy else 0.0

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self._process.pid

    def request(self, request: RenderRequest) -> None:
        """Ask for a picture. Only when ready and not busy."""
        message = self._block.write_request(request)
        self._asked, self._asked_s = request, time.monotonic()
        try:
            self._pipe.send_bytes(message)
        except OSError:
            self._die("its pipe is closed")

    def poll(self) -> Picture | None:
        """Take in what the child has said; the newest picture, if there is one."""
        picture = None
        try:
            while self.state != "dead" and self._pipe.poll(0):
                picture = self._take(json.loads(self._pipe.recv_bytes())) or picture
        except (EOFError, OSError):
            self._die(f"ended with code {self._process.exitcode}")
        return picture

    def ask_to_stop(self) -> None:
        """Request the end without waiting for it."""
        try:
            self._pipe.send_bytes(STOP)
        except OSError:
            self.state = "dead"

    def stop(self, timeout_s: float = 3.0) -> None:
        """End the process, by force after the time-out, and free pipe and memory. Safe to repeat."""
        if self._memory is None:
            return
        self.ask_to_stop()
        self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout_s)
        self.state = "dead"
        self._release()

    def kill(self) -> None:
        """End the process by force, without waiting."""
        self._process.kill()

    def has_ended(self) -> bool:
        """The process is gone, so that `stop` returns at once."""
        return not self._process.is_alive()

    def _take(self, answer: dict[str, Any]) -> Picture | None:
        if answer["kind"] == "ready":
            self.state, self.was_ready = "ready", True
        elif answer["kind"] == "failed":
            self._die(answer["reason"])
        elif self._asked is not None:
            request, self._asked, self.expired = self._asked, None, bool(answer["expired"])
            # Copied, so that no picture on screen holds on to memory of a process that may die: 0.1 ms at VGA.
            pixels = self._block.picture(request.width, request.height).copy()
            return Picture(pixels, request, float(answer["render_ms"]), "open3d")
        return None

    def _die(self, reason: str) -> None:
        self.state, self.reason, self._asked = "dead", self.reason or reason, None
        log.warning("3D render process %s: %s", self._process.pid, self.reason)

    def _release(self) -> None:
        self._block.release()
        self._pipe.close()
        self._memory.close()
        self._memory.unlink()
        self._memory = None  # type: ignore[assignment]


class PainterThread:
    """The painter in a thread of its own: OpenCV lets go of the GIL, so the window stays quick."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._asked: RenderRequest | None = None
        self._done: Picture | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="viewport-painter", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """A request is on its way."""
        return self._asked is not None

    def request(self, request: RenderRequest) -> None:
        """Ask for a picture."""
        with self._news:
            self._asked = request
            self._news.notify()

    def poll(self) -> Picture | None:
        """The newest picture since the last call."""
        with self._news:
            picture, self._done = self._done, None
        return picture

    def stop(self, timeout_s: float = 3.0) -> None:
        """End the thread. Safe to repeat."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._stopping or self._asked is not None)
                if self._stopping:
                    return
                request = self._asked
            assert request is not None
            picture = self._paint(request)
            with self._news:
                self._done = picture or self._done
                if self._asked is request:
                    self._asked = None

    def _paint(self, request: RenderRequest) -> Picture | None:
        began = time.perf_counter()
        try:
            pixels = paint(request)
        except Exception:  # a picture that fails must not end the view
            log.exception("The 2D painter failed on one scene")
            return None
        return Picture(pixels, request, 1e3 * (time.perf_counter() - began), "painter")
