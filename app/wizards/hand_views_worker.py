"""The thread behind the ten views: hand, pose, rest, capture, and the bones over all views. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.live.mailbox import Mailbox
from app.live.workers import Report, ResultReady, Worker
from app.wizards.hand_size_worker import small_image
from app.wizards.view_poses import VIEW_POSES, what_is_wrong
from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.detection.landmarker import MediaPipeHandFinder
from handdgp_core.errors import UsageError
from handdgp_core.estimation.hand_bones import HandBones, bones_over_views, joined
from handdgp_core.estimation.hand_fit import Observation
from handdgp_core.estimation.landmarks import LandmarksPredictor, observation_of
from handdgp_core.estimation.predictor import View
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_pixels
from handdgp_core.sources.cameras import CameraFrame

__all__ = ["HandViewsSnapshot", "HandViewsWorker", "LandmarkReader", "SeenHand", "ViewReader"]

_FRAMES_AT_REST = 6
_REST = 0.015  # of the hand's size in the picture


class SeenHand(NamedTuple):
    """The hand of one picture.

    Attributes:
        keypoints_px: (21, 2) picture pixels.
        side: of the hand; the observation of a left one is of its mirror image.
        observation: as a right hand (H = 1).
    """

    keypoints_px: Array
    side: Handedness
    observation: Observation


class ViewReader(Protocol):
    """Finds the one hand of a picture and reads its landmarks."""

    def read(self, image: NDArray[np.uint8], camera: Camera, side: Handedness | None) -> SeenHand | None:
        """The hand, of the side that it is known to be; None without one that the lens shows."""

    def close(self) -> None:
        """Give memory and threads back."""


class LandmarkReader:
    """The program's own: MediaPipe's finder and landmark network."""

    def __init__(self) -> None:
        import torch  # here, for the window starts without it

        self._finder = MediaPipeHandFinder(max_hands=1)
        self._landmarks = LandmarksPredictor.load(torch.device("cpu"))

    def read(self, image: NDArray[np.uint8], camera: Camera, side: Handedness | None) -> SeenHand | None:
        """See `ViewReader`."""
        found = self._finder.find(image)
        if not found:
            return None
        side = side or found[0].handedness
        crop = crop_from_keypoints(found[0].keypoints_px, side, found[0].score)
        try:
            view = View(crop, self._landmarks.rectify(camera, crop))
        except UsageError:
            return None
        landmarks = self._landmarks.landmarks(view.rectification.warp(image)[None].astype(np.uint8))
        return SeenHand(found[0].keypoints_px, side, observation_of(landmarks, [view], None))

    def close(self) -> None:
        """See `ViewReader`."""
        self._finder.close()


@dataclass(frozen=True)
class HandViewsSnapshot:
    """What the dialog shows.

    Attributes:
        picture: RGB, scaled for the display; None before the first.
        keypoints_px: (21, 2) or (0, 2), picture pixels.
        words: what to do.
        taken: views so far; the next one to copy is `VIEW_POSES[taken]`.
        side: of the last hand.
        bones: of all views, once they are there.
    """

    picture: NDArray[np.uint8] | None = None
    keypoints_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    words: str = VIEW_POSES[0].words
    taken: int = 0
    side: Handedness = "right"
    bones: HandBones | None = None


class HandViewsWorker(Worker):
    """Takes one view after the other by itself when the pose is copied and the hand is still.

    Args:
        frames: see `CalibrationWorker`.
        make_reader: called in the worker's thread.
        report: called in the worker's thread.
    """

    def __init__(
        self,
        frames: Callable[[], Mailbox[CameraFrame] | None],
        make_reader: Callable[[], ViewReader],
        report: Report,
    ) -> None:
        super().__init__("hand views", report)
        self._frames, self._make = frames, make_reader
        self._reader: ViewReader | None = None
        self._states: Mailbox[HandViewsSnapshot] = Mailbox()
        self._state = HandViewsSnapshot()
        self._taken: list[SeenHand] = []
        self._at_once = False
        self._resting: deque[Array] = deque(maxlen=_FRAMES_AT_REST)

    def take_snapshot(self) -> HandViewsSnapshot | None:
        """The newest state, once."""
        return self._states.take()

    def take_now(self) -> None:
        """Take the next view as it is, whether it looks like the pose or not."""
        self._ask(lambda: setattr(self, "_at_once", True))

    def retake(self) -> None:
        """Take the last view back."""
        self._ask(self._retake)

    def _run(self) -> None:
        self._reader = self._make()
        while not self.stopping:
            self._obey()
            frame = self._next_frame(self._frames)
            if frame is not None:
                self._look_at(self._reader, frame)

    def _retake(self) -> None:
        if self._taken:
            self._taken.pop()
            self._resting.clear()
            self._state = replace(self._state, bones=None)

    def _look_at(self, reader: ViewReader, frame: CameraFrame) -> None:
        picture, scale = small_image(frame.image)
        # The finder's side is wrong now and then; the one of the first view holds, for its pose fits to no other.
        seen = reader.read(frame.image, frame.used_camera, self._taken[0].side if self._taken else None)
        words = self._considered(seen)
        shown = np.zeros((0, 2)) if seen is None else resized_pixels(seen.keypoints_px, scale)
        side = self._state.side if seen is None else seen.side
        self._publish(HandViewsSnapshot(picture, shown, words, len(self._taken), side, self._state.bones))
        if len(self._taken) == len(VIEW_POSES) and self._state.bones is None:
            views = joined([seen.observation for seen in self._taken])
            self._publish(replace(self._state, bones=bones_over_views(views)))

    def _considered(self, seen: SeenHand | None) -> str:
        """Take the view if it is the one that is wanted; what to do next."""
        if len(self._taken) == len(VIEW_POSES):
            return "All ten views are taken."
        pose = VIEW_POSES[len(self._taken)]
        if seen is None:
            self._resting.clear()
            return f"{pose.words} No hand is seen."
        wrong = what_is_wrong(seen.observation.world_m[0], pose)
        if wrong and not self._at_once:
            self._resting.clear()
            return f"{pose.words} {wrong}"
        if not self._at_rest(seen.keypoints_px) and not self._at_once:
            return f"{pose.words} Hold still."
        self._resting.clear()
        self._at_once = False
        self._taken.append(seen)
        left = VIEW_POSES[len(self._taken) :]
        return left[0].words if left else "All ten views are taken."

    def _at_rest(self, keypoints_px: Array) -> bool:
        self._resting.append(keypoints_px)
        places = np.array(self._resting)
        size = float(np.ptp(keypoints_px, axis=0).max())
        moved = np.linalg.norm(places - places.mean(axis=0), axis=2).mean(axis=1).max()
        return len(places) == _FRAMES_AT_REST and moved < _REST * size

    def _publish(self, state: HandViewsSnapshot) -> None:
        self._state = state
        self._states.put(state)
        self._report(ResultReady(self))

    def _clean_up(self) -> None:
        if self._reader is not None:
            self._reader.close()
