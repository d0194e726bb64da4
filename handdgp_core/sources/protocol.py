"""What every source of pictures looks like, and what reading from one may say.

Reading has four outcomes, each with its own form, so that none can be mistaken for another:

- a `Frame`;
- `None`: the source has ended, or was closed (from this thread or another);
- `NoFrameYet` raised: nothing within the time allowed, ask again (a silent camera, a lost one that is being looked
  for, a paused player). Never raised by plain files and folders;
- `SourceError` raised: the source has failed. `SourceLost` is the kind that opening again may cure.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame

DEFAULT_TIMEOUT_S = 0.5
_Self = TypeVar("_Self")


class SourceLost(SourceError):
    """A live source that was there and is gone (unplugged, connection cut); opening it again may work."""


class NoFrameYet(Exception):
    """Not an error: no frame within the time allowed; `status` says why in words for the user."""

    def __init__(self, status: str = "waiting for a frame") -> None:
        self.status = status
        super().__init__(status)


@runtime_checkable
class Source(Protocol):
    """A webcam, stream, video, folder, recording or the demo.

    `read`, `seek` and `close` may be called from different threads; `close` makes a blocked `read` return promptly.
    Attributes may change while reading: `size` follows the newest frame, `frame_count` becomes exact at the end.
    """

    @property
    def name(self) -> str:
        """What to show to the user."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the first, and later of the newest, frame."""
        ...

    @property
    def nominal_fps(self) -> float | None:
        """Frames per second as the source states it; None where it does not."""
        ...

    @property
    def frame_count(self) -> int | None:
        """How many frames there are; None where there is no end."""
        ...

    @property
    def is_live(self) -> bool:
        """True where frames come at their own pace and cannot wait."""
        ...

    @property
    def is_seekable(self) -> bool:
        """True where `seek` works."""
        ...

    @property
    def is_rendered(self) -> bool:
        """True where the pictures were made by a renderer: the program must say so."""
        ...

    @property
    def camera(self) -> Camera | None:
        """The one camera that the source itself knows for all its frames; see also `Frame.camera`."""
        ...

    @property
    def warning(self) -> str | None:
        """Something that went wrong without stopping the source, in words for the user."""
        ...

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(file or frame, reason) of everything that was left out."""
        ...

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next frame, or None at the end. Raises NoFrameYet, SourceError (see the top of this module)."""
        ...

    def seek(self, index: int) -> None:
        """Make `index` (from 0) the next frame to be read. Raises SourceError where that cannot be done."""
        ...

    def close(self) -> None:
        """Release everything. Safe to repeat and to call from any thread."""
        ...

    def __enter__(self: _Self) -> _Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BaseSource(ABC):
    """The answers that most sources share, so that each class states only what is its own."""

    name: str = ""
    is_live: bool = False
    is_seekable: bool = False
    is_rendered: bool = False

    def __init__(self) -> None:
        self.skipped: list[tuple[str, str]] = []

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]: ...

    @property
    def nominal_fps(self) -> float | None:
        return None

    @property
    def frame_count(self) -> int | None:
        return None

    @property
    def camera(self) -> Camera | None:
        return None

    @property
    def warning(self) -> str | None:
        return None

    @abstractmethod
    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None: ...

    def seek(self, index: int) -> None:
        raise SourceError(f"Cannot seek in {self.name}: it is a live source.", hint="Use a video file or a folder.")

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def skipped_in_words(skipped: Sequence[tuple[str, str]]) -> str:
    """How many were skipped, and the first of them with its reason; empty where there are none."""
    if not skipped:
        return ""
    name, reason = skipped[0]
    return f"{len(skipped)} skipped (first: {name}: {reason})"


def check_index(index: int, count: int, name: str) -> None:
    """Raise SourceError unless 0 <= index < count."""
    if not 0 <= index < count:
        raise SourceError(f"There is no frame {index} in {name or 'the source'}: frames are 0 to {count - 1}.")


def frames(
    source: Source, stop: threading.Event | None = None, on_wait: Callable[[str], None] | None = None
) -> Iterator[Frame]:
    """Every frame until the end, the stop event, or an error; waits through `NoFrameYet`.

    Args:
        source: read until it ends; not closed here.
        stop: when set, the loop ends at the next frame or within `DEFAULT_TIMEOUT_S`.
        on_wait: gets the status each time there was nothing to read.

    Raises:
        SourceError: as `Source.read`.
    """
    while stop is None or not stop.is_set():
        try:
            frame = source.read(DEFAULT_TIMEOUT_S)
        except NoFrameYet as waiting:
            if on_wait is not None:
                on_wait(waiting.status)
            continue
        if frame is None:
            return
        yield frame
