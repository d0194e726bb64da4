"""From a frame to what the window shows: camera choice, estimate, smoothing, picture with overlay. No Qt, no thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.live.replay_view import ReplayMode, ReplayView
from app.live.truth import TrueHand, compare
from handdgp_core.arrays import Array
from handdgp_core.drawing.overlay import OverlayStyle, draw_hands
from handdgp_core.errors import CameraError
from handdgp_core.estimation.smoothing import HandSmoother, SmoothingSettings
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import RecordedHands
from handdgp_core.sources.cameras import DEFAULT_FOV_DEG, CameraChooser
from handdgp_core.sources.demo import DemoTruth
from handdgp_core.types import Frame, Hand

LEGIBLE_WIDTH_PX = 900  # in narrower pictures dots and letters of the overlay do not shrink any further


class Estimator(Protocol):
    """The part of `HandEstimator` that the program uses; its attributes may be set between frames."""

    hand_length_m: float | None
    max_hands: int
    muted: frozenset[int]
    stage_ms: dict[str, float]

    @property
    def model_name(self) -> str:
        """What the model calls itself."""

    def estimate(self, frame: Frame, camera: Camera, /) -> list[Hand]:
        """The hands of one frame."""

    def reset(self) -> None:
        """Forget tracked hands."""


@dataclass(frozen=True)
class PipelineOptions:
    """How frames are treated; immutable, so that a thread can take a whole one at any time.

    Attributes:
        calibration: the measured camera, for any picture size; None to assume one.
        assumed_fov_deg: horizontal field of view of the assumed camera.
        hand_length_m, max_hands, muted: handed to the estimator.
        smoothing: handed to the smoother.
        mirror: flip the shown picture.
        picture_size: (width, height) in device pixels that the picture is shown at; None for its own size.
        pixel_ratio: device pixels in one pixel of the logical screen: lines and letters grow with it.
        overlay: what is drawn over the picture.
        truth: the true hands, where the source knows them.
        replay: the session that is played, and what of it is shown.
    """

    calibration: Camera | None = None
    assumed_fov_deg: float = DEFAULT_FOV_DEG
    hand_length_m: float | None = None
    max_hands: int = 2
    muted: frozenset[int] = frozenset()
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
    mirror: bool = False
    picture_size: tuple[int, int] | None = None
    pixel_ratio: float = 1.0
    overlay: OverlayStyle = field(default_factory=OverlayStyle)
    truth: DemoTruth | None = field(default=None, compare=False)
    replay: ReplayView | None = None


@dataclass(frozen=True)
class FrameResult:
    """One frame, done: what every panel reads.

    Attributes:
        frame: the frame as it came.
        camera: the intrinsics it was solved with, of the frame's size.
        hands: smoothed hands.
        raw_hands: the same hands as the estimator gave them, in the same order.
        picture: (height, width, 3) uint8 RGB for the display: scaled, with overlay, mirrored if so chosen.
        mirrored: whether `picture` is mirrored.
        stage_ms: milliseconds of every stage, the display's "overlay" included.
        inference_ms: milliseconds of the estimate.
        truth: beside `hands`, the true hand of each; None where there is no truth.
        problem: why the calibration is not used for this frame, or None.
        preview: True for a bare picture shown while the model is loaded.
        recorded: of a session's frame, the recorded hands beside those that were made anew; None where only one of
            the two is shown, or nothing was recorded.
        frames_ago: of a session's frame without a recorded result: how many frames earlier `hands` were recorded.
    """

    frame: Frame
    camera: Camera
    hands: list[Hand]
    raw_hands: list[Hand]
    picture: NDArray[np.uint8]
    mirrored: bool
    stage_ms: dict[str, float]
    inference_ms: float
    truth: list[TrueHand | None]
    problem: CameraError | None = None
    preview: bool = False
    recorded: list[Hand] | None = None
    frames_ago: int = 0


class CameraChoice:
    """Decides which intrinsics a frame is solved with; a calibration that does not fit is told, never applied."""

    def __init__(self) -> None:
        self._chooser = CameraChooser()

    def choose(self, frame: Frame, options: PipelineOptions) -> tuple[Camera, CameraError | None]:
        """The camera of a frame; and why a calibration was refused, in favour of an assumed camera."""
        wanted = CameraChooser(options.calibration, options.assumed_fov_deg, overrides=options.replay is not None)
        if wanted != self._chooser:
            self._chooser = wanted
        if options.replay is not None and frame.camera is not None and frame.camera.source == "assumed":
            frame = replace(frame, camera=None)  # then the field of view of the settings may be tried out
        try:
            return self._chooser.camera_for(frame), None
        except CameraError as error:
            return self._chooser.assumed_for(frame), error


class HandPipeline:
    """Runs an estimator and everything behind it, one frame at a time, in one thread.

    Args:
        estimator: the loaded model.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._smoother = HandSmoother()
        self._chooser = CameraChoice()
        self._last_stamp_ns = -1

    @property
    def model_name(self) -> str:
        """What the model calls itself."""
        return self._estimator.model_name

    def reset(self) -> None:
        """Forget tracks and smoothing, e.g. after a seek."""
        self._estimator.reset()
        self._smoother.reset()
        self._last_stamp_ns = -1

    def close(self) -> None:
        """Give back what the estimator holds, if it holds anything."""
        close = getattr(self._estimator, "close", None)
        if close is not None:
            close()

    def process(self, frame: Frame, options: PipelineOptions) -> FrameResult:
        """Everything for one frame.

        Raises:
            HandDGPError: what the estimator raises for frames it cannot use.
        """
        if frame.stamp_ns < self._last_stamp_ns:
            self.reset()  # wound back
        self._last_stamp_ns = frame.stamp_ns
        if options.replay is not None and options.replay.mode is ReplayMode.RECORDED:
            return self._replayed(frame, *options.replay.latest(frame), options)
        camera, problem = self._chooser.choose(frame, options)
        self._configure(options)
        began = time.perf_counter()
        raw_hands = self._estimator.estimate(frame, camera)
        inference_ms = (time.perf_counter() - began) * 1e3
        hands = self._smoother.apply(raw_hands, frame.stamp_ns)
        both = options.replay if options.replay is not None and options.replay.mode is ReplayMode.BOTH else None
        beside = None if both is None else both.recorded(frame)
        began = time.perf_counter()
        picture = _painted(frame, camera, hands, beside, options)
        stage_ms = {**self._estimator.stage_ms, "overlay": (time.perf_counter() - began) * 1e3}
        truth = compare(options.truth, frame.index, hands)
        return FrameResult(
            frame, camera, hands, raw_hands, picture, options.mirror, stage_ms, inference_ms, truth, problem,
            recorded=None if beside is None else beside.hands,
        )  # fmt: skip

    def _replayed(
        self, frame: Frame, recorded: RecordedHands | None, frames_ago: int, options: PipelineOptions
    ) -> FrameResult:
        """The recorded result, smoothed as the settings say; the model is not asked."""
        raw_hands = [] if recorded is None else recorded.hands
        camera = self._chooser.choose(frame, options)[0] if recorded is None else recorded.camera
        self._configure(options)
        hands = self._smoother.apply(raw_hands, frame.stamp_ns)
        began = time.perf_counter()
        picture = _painted(frame, camera, hands, None, options)
        stage_ms = {"overlay": (time.perf_counter() - began) * 1e3}
        spent_ms = 0.0 if recorded is None else recorded.inference_ms
        none = [None] * len(hands)
        return FrameResult(
            frame, camera, hands, raw_hands, picture, options.mirror, stage_ms, spent_ms, [*none],
            frames_ago=frames_ago,
        )  # fmt: skip

    def _configure(self, options: PipelineOptions) -> None:
        self._estimator.hand_length_m = options.hand_length_m
        self._estimator.max_hands = options.max_hands
        self._estimator.muted = options.muted
        if self._smoother.settings != options.smoothing:
            self._smoother.settings = options.smoothing
            self._smoother.reset()


def _painted(
    frame: Frame, camera: Camera, hands: list[Hand], beside: RecordedHands | None, options: PipelineOptions
) -> NDArray[np.uint8]:
    """The picture for the display, recorded hands `beside` the others as a wireframe below them."""
    image, small_camera, small_hands = _shrunk(frame.image, camera, hands, options.picture_size)
    scale = max(1.0, LEGIBLE_WIDTH_PX * options.pixel_ratio / image.shape[1])
    style = replace(options.overlay, mirrored=options.mirror, scale=options.overlay.scale * scale)
    if beside is not None and beside.hands:
        recorded_camera = _camera_at(beside.camera, image.shape[1], image.shape[0])
        below = replace(style, mirrored=False, mesh=False, wireframe=True, opacity=1.0, keypoints=False, labels=False)
        image = draw_hands(image, beside.hands, recorded_camera, below)
    return draw_hands(image, small_hands, small_camera, style)


def preview(frame: Frame, options: PipelineOptions) -> FrameResult:
    """A result without hands: the bare picture, for the time until the model is loaded."""
    camera, problem = CameraChoice().choose(frame, options)
    picture, _, _ = _shrunk(frame.image, camera, [], options.picture_size)
    picture = np.ascontiguousarray(picture[:, ::-1]) if options.mirror else picture
    return FrameResult(frame, camera, [], [], picture, options.mirror, {}, 0.0, [], problem, preview=True)


def shown_size(width: int, height: int, bounds: tuple[int, int] | None) -> tuple[int, int]:
    """The size at which a (width, height) picture is drawn into `bounds`: never enlarged, aspect kept, at least 1."""
    if bounds is None:
        return width, height
    scale = min(1.0, bounds[0] / width, bounds[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrunk(
    image: NDArray[np.uint8], camera: Camera, hands: list[Hand], bounds: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], Camera, list[Hand]]:
    """Picture, camera and hands at display size: drawing fewer pixels, and lines that stay sharp on screen."""
    height, width = image.shape[:2]
    size = shown_size(width, height, bounds)
    if size == (width, height):
        return image, camera, hands
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small, _camera_at(camera, *size), [_hand_at(hand, size[0] / width, size[1] / height) for hand in hands]


def _camera_at(camera: Camera, width: int, height: int) -> Camera:
    """The camera of a picture resized to any size: rounding to whole pixels may change the aspect of small ones."""
    by = np.array([width / camera.width, height / camera.height])
    matrix = camera.matrix.copy()
    matrix[:2] *= by[:, None]
    matrix[:2, 2] += 0.5 * by - 0.5  # pixel centres: u becomes s (u + 0.5) - 0.5
    return replace(camera, width=width, height=height, matrix=matrix)


def _hand_at(hand: Hand, across: float, down: float) -> Hand:
    """The hand whose 2D keypoints are those of the resized picture."""
    scale: Array = np.array([across, down])
    return replace(hand, keypoints_px=(hand.keypoints_px + 0.5) * scale - 0.5)
