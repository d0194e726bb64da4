"""The one loop from a source to hands: every frame, the camera that it is solved with, and the hands found in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import CameraChooser, CameraFrame
from handdgp_core.sources.protocol import Source, frames
from handdgp_core.types import Frame, Hand

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

__all__ = ["EstimatedFrame", "estimated_frames"]


@dataclass(frozen=True)
class EstimatedFrame:
    """A frame of a source, with the camera it was solved with, and its hands."""

    frame: CameraFrame
    hands: list[Hand]

    @property
    def camera(self) -> Camera:
        """The camera that the hands were solved with."""
        return self.frame.used_camera


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
    """Run a source through an estimator. Images of a folder need not follow one another, so tracking restarts at each.

    Args:
        source: read until it ends; not closed here.
        estimator: finds the hands; not closed here.
        cameras: chooses the camera of every frame; by default what the source knows, else an assumed one.
        select: tells which frames are estimated; the others are skipped.
        limit: end after this many estimated frames.
        stop, on_wait: as for `sources.protocol.frames`.

    Raises:
        SourceError: the source fails.
        CameraError: the camera of a frame does not fit its size.
    """
    cameras = cameras or CameraChooser()
    done = 0
    for frame in frames(source, stop, on_wait):
        if select is not None and not select(frame):
            continue
        if frame.name is not None:
            estimator.reset()
        chosen = cameras.choose(frame)
        yield EstimatedFrame(chosen, estimator.estimate(chosen, chosen.used_camera))
        done += 1
        if done == limit:
            return
