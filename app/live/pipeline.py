"""From a frame to what the window shows: estimate, smoothing, picture with overlay. No Qt, no thread."""

from __future__ import annotations

import time
from collections.abc import Hashable

from app.live.display_image import bare_image, display_image
from app.live.frame_result import Estimator, FrameResult, PipelineOptions
from app.live.held_frame import Estimate, HeldFrame
from app.live.replay_view import ReplayMode, ReplayView
from app.live.truth import compare
from handdgp_core.estimation.smoothing import HandSmoother
from handdgp_core.sources.cameras import CameraFrame, with_camera


class HandPipeline:
    """Runs an estimator and everything behind it, one frame at a time, in one thread.

    The last frame can be processed again, as often as one likes. Its numbers change only where something that makes
    them has changed; what makes the picture alone (size, overlay, mirror) never does. See `HeldFrame`.

    Args:
        estimator: the loaded model.
        identity: of the model and its device: estimates of another one are not taken for its own.
        held: the last frame of an earlier pipeline on the same source, to go on from there.
    """

    def __init__(self, estimator: Estimator, identity: Hashable = None, held: HeldFrame | None = None) -> None:
        self._estimator = estimator
        self._identity = identity
        self._smoother = HandSmoother()
        self._treatment: Hashable = None
        self.held = held

    @property
    def engine(self) -> str:
        """What runs the model, for people."""
        return self._estimator.engine

    @property
    def model_name(self) -> str:
        """What the model calls itself."""
        return self._estimator.model_name

    def use_best_engine(self) -> None:
        """Let a faster engine run the model from the next frame on, where one has become ready since."""
        self._estimator.use_best_engine()

    def reset(self) -> None:
        """Forget tracks and smoothing, e.g. after a seek."""
        self._estimator.reset()
        self._smoother = HandSmoother()
        self.held = None

    def close(self) -> None:
        """Give back what the estimator holds."""
        self._estimator.close()

    def process(self, frame: CameraFrame, options: PipelineOptions) -> FrameResult:
        """Everything for one frame.

        Raises:
            HandDGPError: what the estimator raises for frames it cannot use.
        """
        treatment = self._treatment_of(frame, options)
        held = self.held
        if held is None or not held.holds(frame):
            held = self._hold(frame, treatment)
        self._treatment = treatment
        estimate, redrawn = self._estimate(held, frame, options, (treatment, frame.used_camera))
        hands, self._smoother = held.smoothed(estimate, options.smoothing)
        shown = estimate.frame
        both = options.replay if options.replay is not None and options.replay.mode is ReplayMode.BOTH else None
        beside = None if both is None else both.recorded(frame)
        began = time.perf_counter()
        picture = display_image(shown, shown.used_camera, hands, beside, options)
        stage_ms = {**estimate.stage_ms, "overlay": (time.perf_counter() - began) * 1e3}
        truth = compare(None if estimate.recorded else options.truth, frame.index, hands)
        return FrameResult(
            shown, hands, estimate.raw_hands, picture, options.mirror, stage_ms, estimate.inference_ms, truth,
            recorded=None if beside is None else beside.hands, frames_ago=estimate.frames_ago, redrawn=redrawn,
            beyond_lens=estimate.beyond_lens, unrecorded=estimate.unrecorded,
        )  # fmt: skip

    def _hold(self, frame: CameraFrame, treatment: Hashable) -> HeldFrame:
        """A new frame: note what is known before it."""
        if self.held is not None and frame.stamp_ns < self.held.stamp_ns:
            self.reset()  # a seek backwards
        if treatment != self._treatment:
            self._smoother = HandSmoother()  # earlier numbers were made in another way: do not mix them in
        self.held = HeldFrame(frame.index, frame.stamp_ns, self._estimator.snapshot(), self._smoother)
        return self.held

    def _treatment_of(self, frame: CameraFrame, options: PipelineOptions) -> Hashable:
        """Everything that makes the numbers of a frame, but for its picture and a camera that its source knows."""
        replay = options.replay
        if replay is not None and replay.mode is ReplayMode.RECORDED:
            return replay.session
        camera = None if frame.used_camera == frame.camera else frame.used_camera
        length = options.hand_length_m, options.hand_length_std
        return camera, length, options.max_hands, options.muted, self._identity

    def _estimate(
        self, held: HeldFrame, frame: CameraFrame, options: PipelineOptions, key: Hashable
    ) -> tuple[Estimate, bool]:
        """The estimate for `key`, and whether it is the one that was shown last."""
        known, replay = held.estimates.get(key), options.replay
        if known is not None:
            if known is held.shown:
                return known, True
            if known.after is not None:
                self._estimator.restore(known.after)
        elif replay is not None and replay.mode is ReplayMode.RECORDED:
            known = _recorded(frame, replay)
        else:
            if held.estimates:
                self._estimator.restore(held.before)
            known = self._run(frame, options)
        held.estimates[key] = held.shown = known
        return known, False

    def _run(self, frame: CameraFrame, options: PipelineOptions) -> Estimate:
        options.configure(self._estimator)
        began = time.perf_counter()
        hands = self._estimator.estimate(frame, frame.used_camera)
        spent_ms = (time.perf_counter() - began) * 1e3
        estimator = self._estimator
        return Estimate(
            frame, hands, dict(estimator.stage_ms), spent_ms, estimator.snapshot(), beyond_lens=estimator.beyond_lens
        )


def _recorded(frame: CameraFrame, replay: ReplayView) -> Estimate:
    """The recorded result; the model does not run."""
    found, frames_ago = replay.latest(frame)
    if found is None:
        return Estimate(frame, [], {}, 0.0, recorded=True, unrecorded=True)
    shown = with_camera(frame, found.camera)
    return Estimate(shown, found.hands, {}, found.inference_ms, frames_ago=frames_ago, recorded=True)


def preview(frame: CameraFrame, options: PipelineOptions) -> FrameResult:
    """A result without hands: the bare picture, for the time until the model is loaded."""
    picture = bare_image(frame, frame.used_camera, options)
    return FrameResult(frame, [], [], picture, options.mirror, {}, 0.0, [], preview=True)
