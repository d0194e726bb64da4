"""Playing a file as fast as it was taken: waits where we are early, leaves frames out where we are late."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from typing import Protocol

from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, NoFrameYet, Source, check_index
from handdgp_core.sources.video import FALLBACK_FPS
from handdgp_core.types import Frame

LATE_FRAMES = 1.5  # so many frame periods late, frames are left out
HELD_UP_S = 1.0  # later than this we were held up (not asked, asleep), and go on from where we are
SLOWEST, FASTEST = 0.05, 16.0


class Clock(Protocol):
    """Time and waiting; tests replace it."""

    def now_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def wait(self, changed: threading.Condition, timeout_s: float) -> None:
        """Wait, holding `changed`, until it is notified or the time is over."""
        ...


class SystemClock:
    """The real one."""

    def now_s(self) -> float:
        return time.monotonic()

    def wait(self, changed: threading.Condition, timeout_s: float) -> None:
        changed.wait(timeout_s)


class PacedSource(BaseSource):
    """A player over a seekable source: real time, pause, step, speed, seek. Controls may be called from any thread.

    Frame number n is due n periods after the start (after its own stamp where the source knows all stamps beforehand),
    so that being late once does not delay all that follows: late frames are left out by seeking forward (`dropped`
    counts them). Stamps stay those of the source: they are media time and do not depend on speed or pauses.

    Args:
        inner: what to play; closed with this player.
        clock: tells the time.
        speed: 1 is real time.
        hold_at_end: after the last frame stand still (NoFrameYet) instead of ending, so that one can wind back.
        paused: start with the first frame shown and standing still.

    Raises:
        UsageError: a live source, or a senseless speed.
    """

    is_seekable = True

    def __init__(
        self,
        inner: Source,
        clock: Clock | None = None,
        speed: float = 1.0,
        paused: bool = False,
        hold_at_end: bool = False,
    ) -> None:
        if not inner.is_seekable:
            raise UsageError(f"Cannot pace {inner.name}: it is a live source.")
        super().__init__()
        self.inner = inner
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._closed = False
        self._paused = paused
        self._hold_at_end = hold_at_end
        self._at_end = False
        self._speed = _checked_speed(speed)
        self._single = 1 if paused else 0  # frames to show in spite of the pause
        self._seek_target: int | None = None  # frame to seek to before the next one is read
        self._next = 0  # number of the frame that is read next
        self._anchor: tuple[float, int] | None = None  # (time, frame) that fix when every other frame is due
        self._loop: tuple[int, int] | None = None  # first and last frame of the part that is played again and again
        stamps_ns = getattr(inner, "stamps_ns", None)
        self._due_s: list[float] | None = None if stamps_ns is None else (stamps_ns / 1e9).tolist()
        self.dropped = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def size(self) -> tuple[int, int]:
        return self.inner.size

    @property
    def nominal_fps(self) -> float | None:
        return self.inner.nominal_fps

    @property
    def frame_count(self) -> int | None:
        return self.inner.frame_count

    @property
    def is_rendered(self) -> bool:  # type: ignore[override]
        return self.inner.is_rendered

    @property
    def camera(self) -> Camera | None:
        return self.inner.camera

    @property
    def warning(self) -> str | None:
        return self.inner.warning

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def position(self) -> int:
        """Number of the frame that comes next."""
        return self._next if self._seek_target is None else self._seek_target

    @property
    def loop(self) -> tuple[int, int] | None:
        """(first, last) frame of the part that is played again and again, or None."""
        return self._loop

    def set_loop(self, part: tuple[int, int] | None) -> None:
        """Play the frames from the first to the last of `part` (both included) again and again; None plays on.

        Raises:
            SourceError: a part that is not in the source, or whose end lies before its beginning.
        """
        with self._changed:
            if part is not None:
                check_index(part[0], self.frame_count or part[0] + 1, self.name)
                check_index(part[1], self.frame_count or part[1] + 1, self.name)
                if part[1] < part[0]:
                    raise UsageError(f"The part to repeat must begin before it ends, not {part[0]} to {part[1]}.")
            self._loop = part
            if part is not None and not self._paused and not part[0] <= self.position <= part[1]:
                self._go(part[0])
            self._changed.notify_all()

    def pause(self) -> None:
        """Stand still; `read` raises NoFrameYet until `play`, `step` or `seek`."""
        self._change(paused=True)

    def play(self) -> None:
        """Go on from the frame that stands, from the start where that was the last one."""
        with self._changed:
            if self._at_end:
                self._go(0)
        self._change(paused=False)

    def set_speed(self, speed: float) -> None:
        """From now on, `speed` times real time. Raises UsageError outside 0.05 to 16."""
        with self._changed:
            self._speed = _checked_speed(speed)
            self._anchor = None
            self._changed.notify_all()

    def step(self, count: int = 1) -> None:
        """Pause, and show the frame `count` after the one that stands (negative: before), within the source."""
        with self._changed:
            shown = self.position - (0 if self._seek_target is not None else 1)
            last = (self.frame_count or shown + abs(count) + 1) - 1
            self._paused = True
            self._go(min(max(shown + count, 0), last))

    def seek(self, index: int) -> None:
        """Make `index` the next frame; shown even while paused. Raises SourceError outside the source."""
        with self._changed:
            check_index(index, self.frame_count or index + 1, self.name)
            self._go(index)

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Frame that is due, None at the end or after `close`.

        Raises:
            NoFrameYet: paused, or the next frame is due later than `timeout_s` from now.
            SourceError: from the source.
        """
        with self._changed:
            if not self._wait_until_due(self._clock.now_s() + timeout_s):
                return None
            target = self._target()
        # Decoding happens outside the lock, so that the controls never wait for it.
        if target is not None:
            self.inner.seek(target)
        frame = self.inner.read(timeout_s)
        with self._changed:
            if frame is None and self.frame_count is not None:
                self._next = min(self._next, self.frame_count)  # the end came earlier than the source had promised
            if frame is None and self._hold_at_end and not self._closed and self._seek_target is None:
                self._paused, self._at_end, self._single = True, True, 0
                raise NoFrameYet("at the end")
            if frame is not None and self._seek_target is None:
                self._note(frame)
        return frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.inner.close()

    def _change(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._anchor = None
            self._changed.notify_all()

    def _go(self, index: int) -> None:
        self._seek_target = index
        self._at_end = False
        self._single = 1 if self._paused else 0
        self._anchor = None
        self._changed.notify_all()

    def _wait_until_due(self, deadline_s: float) -> bool:
        """Hold the lock. True when a frame is to be read now, False when closed."""
        while not self._closed:
            now_s = self._clock.now_s()
            wait_s = self._due_in_s(now_s)
            if wait_s is not None and wait_s <= 0:
                return True
            left_s = deadline_s - now_s
            if left_s <= 0:
                raise NoFrameYet(self._standstill() if wait_s is None else "the next frame is not due yet")
            self._clock.wait(self._changed, left_s if wait_s is None else min(wait_s, left_s))
        return False

    def _due_in_s(self, now_s: float) -> float | None:
        """Seconds until the next frame is due; None while standing still."""
        if self._paused:
            return 0.0 if self._single else None
        if self._anchor is None:
            self._anchor = (now_s, self.position)
        return self._anchor[0] + self._span_s(self._anchor[1], self.position) - now_s

    def _span_s(self, first: int, last: int) -> float:
        """Playing time from one frame to another."""
        if self._due_s is None:
            return (last - first) * self._period_s()
        times_s, end = self._due_s, len(self._due_s) - 1
        return (times_s[min(last, end)] - times_s[min(first, end)]) / self._speed

    def _target(self) -> int | None:
        """Hold the lock. Frame to wind to before reading: asked for, or further on because we are late."""
        if self._seek_target is not None:
            target, self._seek_target = self._seek_target, None
            self._next = target
            return target
        if self._loop is not None and not self._paused and self._next > self._loop[1]:
            self._next, self._anchor = self._loop[0], None
            return self._next
        now_s = self._clock.now_s()
        late = -(self._due_in_s(now_s) or 0.0) / self._period_s() if not self._paused else 0.0
        if late * self._period_s() > HELD_UP_S:
            self._anchor = None
            return None
        if late < LATE_FRAMES:
            return None
        target = self._next + int(late)
        if self._due_s is not None:
            target = self._frame_at(now_s)
        if self._loop is not None:
            target = min(target, self._loop[1])
        if self.frame_count is not None:
            target = min(target, self.frame_count - 1)
        if target <= self._next:
            return None
        self.dropped += target - self._next
        self._next = target
        return target

    def _frame_at(self, now_s: float) -> int:
        """The last frame that is due by now, by the source's own stamps."""
        assert self._due_s is not None and self._anchor is not None
        start_s = self._due_s[min(self._anchor[1], len(self._due_s) - 1)]
        return bisect_right(self._due_s, start_s + (now_s - self._anchor[0]) * self._speed) - 1

    def _standstill(self) -> str:
        return "at the end" if self._at_end else "paused"

    def _note(self, frame: Frame) -> None:
        self._single = 0
        if self._anchor is not None and frame.index < self._next:  # a looping source has started again
            due_s = self._anchor[0] + (self._next - self._anchor[1]) * self._period_s()
            self._anchor = (due_s, frame.index)
        self._next = frame.index + 1

    def _period_s(self) -> float:
        return 1.0 / ((self.nominal_fps or FALLBACK_FPS) * self._speed)


def _checked_speed(speed: float) -> float:
    if not SLOWEST <= speed <= FASTEST:
        raise UsageError(f"The speed must be from {SLOWEST} to {FASTEST}, not {speed}.", hint="1 is real time.")
    return speed
