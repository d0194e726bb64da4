"""The one loop from a source to hands: every frame, the camera that it is solved with, and the hands found in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import CameraChooser, CameraFrame
from handdgp_core.sources.protocol import Source, frames
from handdgp_core.types import Frame, Hand

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

__all__ = ["EstimatedFrame", "Follower", "camera_frames", "estimated_frames"]

_SKIPPED_KEPT = 1000  # a long video must not grow without end


@dataclass(frozen=True)
class EstimatedFrame:
    """A frame of a source, with the camera it was solved with, and its hands."""

    frame: CameraFrame
    hands: list[Hand]

    @property
    def camera(self) -> Camera:
        """The camera that the hands were solved with."""
        return self.frame.used_camera


class Follower:
    """Runs an estimator over the frames of a source. Tracking restarts where a frame does not follow the one before:
    at each image of a folder, and where a video changes its size.

    Args:
        estimator: finds the hands; not closed here.
    """

    def __init__(self, estimator: HandEstimator) -> None:
        self._estimator = estimator
        self._size = (0, 0)

    def estimate(self, frame: CameraFrame) -> EstimatedFrame:
        """The hands of the next frame."""
        if frame.name is not None or frame.image.shape[:2] != self._size:
            self._estimator.reset()
        self._size = frame.image.shape[:2]
        return EstimatedFrame(frame, self._estimator.estimate(frame, frame.used_camera))


def camera_frames(
    source: Source,
    cameras: CameraChooser,
    *,
    select: Callable[[Frame], bool] | None = None,
    stop: threading.Event | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[CameraFrame]:
    """The frames of a source, each with the camera that it is to be solved with.

    Frames that the camera does not fit are skipped and listed in the source's `skipped`, unless it fits none.

    Arguments and errors as in `estimated_frames`.
    """
    fitted = False
    misfit: CameraError | None = None
    for frame in frames(source, stop, on_wait):
        if select is not None and not select(frame):
            continue
        try:
            chosen = cameras.choose(frame)
        except CameraError as error:
            if not fitted and frame.name is None:
                raise
            misfit = misfit or error
            if len(source.skipped) < _SKIPPED_KEPT:
                source.skipped.append((frame.name or f"frame {frame.index}", error.problem.removesuffix(".")))
            continue
        fitted = True
        yield chosen
    if not fitted and misfit is not None:
        raise misfit


def estimated_frames(
    source: Source,
    estimator: HandEstimator,
    cameras: CameraChooser | None = None,
    *,
    select: Callable[[Frame], bool] | None = None,
    limit: int | None = None,
    stop: threading.Event | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[EstimatedFrame]:
    """Run a source through an estimator, see `Follower`. Frames that the camera does not fit are skipped as in
    `camera_frames`.

    Args:
        source: read until it ends; not closed here.
        estimator: finds the hands; not closed here.
        cameras: chooses the camera of every frame; by default what the source knows, else an assumed one.
        select: tells which frames are estimated; the others are skipped.
        limit: end after this many estimated frames.
        stop, on_wait: as for `sources.protocol.frames`.

    Raises:
        SourceError: the source fails.
        CameraError: the camera does not fit the first frame of a video, or any image of a folder.
    """
    chosen = camera_frames(source, cameras or CameraChooser(), select=select, stop=stop, on_wait=on_wait)
    follower = Follower(estimator)
    for done, frame in enumerate(chosen, start=1):
        yield follower.estimate(frame)
        if done == limit:
            return
