"""What the pipeline takes and gives: an estimator, options (and what the settings make of them), a result. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from app.live.replay_view import ReplayView
from app.live.truth import TrueHand
from app.settings import Settings
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.errors import CameraError
from handdgp_core.estimation.smoothing import SmoothingSettings
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import DEFAULT_FOV_DEG, CameraChooser, CameraFrame
from handdgp_core.sources.demo import DemoTruth
from handdgp_core.types import Frame, Hand

if TYPE_CHECKING:  # it brings PyTorch, which takes seconds to load
    from handdgp_core.estimation.estimator import EstimatorState


class Estimator(Protocol):
    """The part of `HandEstimator` that the program uses; its attributes may be set between frames."""

    hand_length_m: float | None
    hand_length_std: float
    max_hands: int
    muted: frozenset[int]
    stage_ms: dict[str, float]
    beyond_lens: int

    @property
    def model_name(self) -> str:
        """What the model calls itself."""

    @property
    def engine(self) -> str:
        """What runs the model, for people."""

    def estimate(self, frame: Frame, camera: Camera, /) -> list[Hand]:
        """The hands of one frame."""

    def use_best_engine(self) -> None:
        """Change to a faster engine where one has become ready since; between two frames."""

    def reset(self) -> None:
        """Forget tracked hands."""

    def close(self) -> None:
        """Give back what it holds. May be called twice."""

    def rectified(self, frame: Frame, camera: Camera, hand: Hand, /) -> NDArray[np.uint8] | None:
        """What the network is shown of a hand."""

    def snapshot(self) -> EstimatorState:
        """What is known of earlier frames, for `restore`."""

    def restore(self, state: EstimatorState, /) -> None:
        """Go back to a snapshot."""


@dataclass(frozen=True)
class PipelineOptions:
    """How frames are treated; immutable, so that a thread can take a whole one at any time.

    Attributes:
        calibration: the measured camera, for any image size; None to assume one.
        assumed_fov_deg: horizontal field of view of the assumed camera.
        hand_length_m, hand_length_std, max_hands, muted: handed to the estimator.
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
    hand_length_std: float = 0.0
    max_hands: int = 2
    muted: frozenset[int] = frozenset()
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
    mirror: bool = False
    picture_size: tuple[int, int] | None = None
    pixel_ratio: float = 1.0
    overlay: OverlayStyle = field(default_factory=OverlayStyle)
    truth: DemoTruth | None = field(default=None, compare=False)
    replay: ReplayView | None = None

    def configure(self, estimator: Estimator) -> None:
        """Hand to an estimator what it wants of these."""
        estimator.hand_length_m, estimator.hand_length_std = self.hand_length_m, self.hand_length_std
        estimator.max_hands, estimator.muted = self.max_hands, self.muted

    def cameras(self) -> CameraChooser:
        """What chooses the camera of a frame. In a replay, calibration and field of view of the settings go first."""
        again = self.replay is not None
        return CameraChooser(self.calibration, self.assumed_fov_deg, overrides=again, overrides_assumed=again)


def smoothing_settings(settings: Settings) -> SmoothingSettings:
    """Cut-offs of the smoother for the two steadiness sliders; 50 gives the smoother's own defaults."""
    usual = SmoothingSettings()
    lateral = _steadiness_factor(settings.steadiness)
    depth = _steadiness_factor(settings.depth_steadiness)
    return SmoothingSettings(
        enabled=settings.smoothing_enabled,
        min_cutoff_hz=usual.min_cutoff_hz * lateral,
        beta=usual.beta * lateral**0.5,
        depth_min_cutoff_hz=usual.depth_min_cutoff_hz * depth,
        depth_beta=usual.depth_beta * depth**0.5,
    )


def _steadiness_factor(percent: int) -> float:
    """4 at 0 % (follows at once), 1 at 50 %, a quarter at 100 % (calm)."""
    return 4.0 ** ((50 - percent) / 50.0)


def overlay_style(settings: Settings) -> OverlayStyle:
    """What is drawn over the picture."""
    return OverlayStyle(
        mesh=settings.show_mesh,
        opacity=settings.mesh_opacity / 100.0,
        wireframe=settings.show_wireframe,
        keypoints=settings.show_keypoints,
        projected=settings.show_residuals,
        root=settings.show_keypoints,
        labels=settings.show_labels,
    )


@dataclass(frozen=True)
class FrameResult:
    """One frame, done: what every panel reads.

    Attributes:
        frame: the frame as it came, with the camera it was solved with.
        hands: smoothed hands.
        raw_hands: the same hands as the estimator gave them, in the same order.
        picture: (height, width, 3) uint8 RGB for the display: scaled, with overlay, mirrored if so chosen.
        mirrored: whether `picture` is mirrored.
        stage_ms: milliseconds of every stage, the display's "overlay" included.
        inference_ms: milliseconds of the estimate.
        truth: beside `hands`, the true hand of each; None where there is no truth.
        preview: True for a bare picture shown while the model is loaded.
        recorded: of a session's frame, the recorded hands beside the re-run ones; None where only one of
            the two is shown, or nothing was recorded.
        beyond_lens: hands that lie where the lens model has no answer; they are not among `hands`.
        redrawn: the numbers are those of the result before; the picture alone was drawn again.
        unrecorded: a session's frame that has no recorded result, nor has one shortly before it: whether it shows a
            hand is not known.
        frames_ago: of a session's frame without a recorded result: how many frames earlier `hands` were recorded.
    """

    frame: CameraFrame
    hands: list[Hand]
    raw_hands: list[Hand]
    picture: NDArray[np.uint8]
    mirrored: bool
    stage_ms: dict[str, float]
    inference_ms: float
    truth: list[TrueHand | None]
    preview: bool = False
    recorded: list[Hand] | None = None
    frames_ago: int = 0
    unrecorded: bool = False
    redrawn: bool = False
    beyond_lens: int = 0

    @property
    def camera(self) -> Camera:
        """The intrinsics that the hands were solved with, of the frame's size."""
        return self.frame.used_camera

    @property
    def problem(self) -> CameraError | None:
        """Why the calibration is not used for this frame, or None."""
        return self.frame.problem
