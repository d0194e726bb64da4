"""From a frame to what the window shows: estimate, smoothing, picture with overlay. No Qt, no thread."""

from __future__ import annotations

import time

from app.live.display_image import bare_image, display_image
from app.live.frame_result import Estimator, FrameResult, PipelineOptions
from app.live.replay_view import ReplayMode
from app.live.truth import compare
from handdgp_core.estimation.smoothing import HandSmoother
from handdgp_core.sessions import RecordedHands
from handdgp_core.sources.cameras import CameraFrame, with_camera


class HandPipeline:
    """Runs an estimator and everything behind it, one frame at a time, in one thread.

    Args:
        estimator: the loaded model.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._smoother = HandSmoother()
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

    def process(self, frame: CameraFrame, options: PipelineOptions) -> FrameResult:
        """Everything for one frame.

        Raises:
            HandDGPError: what the estimator raises for frames it cannot use.
        """
        if frame.stamp_ns < self._last_stamp_ns:
            self.reset()  # a seek backwards
        self._last_stamp_ns = frame.stamp_ns
        if options.replay is not None and options.replay.mode is ReplayMode.RECORDED:
            return self._replayed(frame, *options.replay.latest(frame), options)
        self._configure(options)
        began = time.perf_counter()
        raw_hands = self._estimator.estimate(frame, frame.used_camera)
        inference_ms = (time.perf_counter() - began) * 1e3
        hands = self._smoother.apply(raw_hands, frame.stamp_ns)
        both = options.replay if options.replay is not None and options.replay.mode is ReplayMode.BOTH else None
        beside = None if both is None else both.recorded(frame)
        began = time.perf_counter()
        picture = display_image(frame, frame.used_camera, hands, beside, options)
        stage_ms = {**self._estimator.stage_ms, "overlay": (time.perf_counter() - began) * 1e3}
        truth = compare(options.truth, frame.index, hands)
        return FrameResult(
            frame, hands, raw_hands, picture, options.mirror, stage_ms, inference_ms, truth,
            recorded=None if beside is None else beside.hands,
        )  # fmt: skip

    def _replayed(
        self, frame: CameraFrame, recorded: RecordedHands | None, frames_ago: int, options: PipelineOptions
    ) -> FrameResult:
        """The recorded result, smoothed by the settings; the model does not run."""
        raw_hands = [] if recorded is None else recorded.hands
        shown = with_camera(frame, frame.used_camera if recorded is None else recorded.camera)
        self._configure(options)
        hands = self._smoother.apply(raw_hands, frame.stamp_ns)
        began = time.perf_counter()
        picture = display_image(shown, shown.used_camera, hands, None, options)
        stage_ms = {"overlay": (time.perf_counter() - began) * 1e3}
        spent_ms = 0.0 if recorded is None else recorded.inference_ms
        none = [None] * len(hands)
        return FrameResult(
            shown, hands, raw_hands, picture, options.mirror, stage_ms, spent_ms, [*none],
            frames_ago=frames_ago,
        )  # fmt: skip

    def _configure(self, options: PipelineOptions) -> None:
        self._estimator.hand_length_m = options.hand_length_m
        self._estimator.hand_length_std = options.hand_length_std
        self._estimator.max_hands = options.max_hands
        self._estimator.muted = options.muted
        if self._smoother.settings != options.smoothing:
            self._smoother.settings = options.smoothing
            self._smoother.reset()


def preview(frame: CameraFrame, options: PipelineOptions) -> FrameResult:
    """A result without hands: the bare picture, for the time until the model is loaded."""
    picture = bare_image(frame, frame.used_camera, options)
    return FrameResult(frame, [], [], picture, options.mirror, {}, 0.0, [], preview=True)
