"""A frame that stands on screen is a measurement: drawing it again never changes it, and going back gives it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.live.frame_result import FrameResult, PipelineOptions
from app.live.pipeline import HandPipeline
from app.live.readout import mute_shift_mm
from app.live.state import Phase
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.smoothing import SmoothingSettings
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources import open_source
from handdgp_core.types import Frame, Hand
from tests.app.doubles import ScriptedEstimator, frame, hand
from tests.app.live.test_pipeline import run


class Drifting(ScriptedEstimator):
    """Its hands depend on how many frames it has seen: an estimator with a memory."""

    def __init__(self, start_m: float = 0.3) -> None:
        super().__init__()
        self._start_m, self._seen = start_m, 0

    def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
        self.calls += 1
        self._seen += 1
        scale = camera.focal_px[0] / 138.0
        return [hand(scale * (self._start_m + 0.01 * self._seen), muted=self.muted)]

    def snapshot(self) -> object:
        return self._seen

    def restore(self, state: object) -> None:
        self.restored += 1
        self._seen = state


def numbers(result: FrameResult) -> list[bytes]:
    """Everything measured in a result, to the last bit."""
    hands = [*result.hands, *result.raw_hands]
    parts = [(h.root_m, h.keypoints_m, h.vertices_m, h.weights, h.root_covariance_m2) for h in hands]
    return [np.asarray(part).tobytes() for hand_parts in parts for part in hand_parts]


DISPLAY: tuple[Callable[[PipelineOptions], PipelineOptions], ...] = (
    lambda options: replace(options, picture_size=(80, 60)),
    lambda options: replace(options, picture_size=(120, 90), pixel_ratio=2.0),
    lambda options: replace(options, mirror=True),
    lambda options: replace(options, overlay=OverlayStyle(mesh=False, labels=False)),
)
MEASURING: tuple[Callable[[PipelineOptions], PipelineOptions], ...] = (
    lambda options: replace(options, muted=frozenset({4, 8})),
    lambda options: replace(options, max_hands=1),
    lambda options: replace(options, assumed_fov_deg=75.0),
    lambda options: replace(options, hand_length_m=0.2),
    lambda options: replace(options, hand_length_m=0.2, hand_length_std=0.05),
    lambda options: replace(options, smoothing=SmoothingSettings(enabled=False)),
    lambda options: replace(options, smoothing=SmoothingSettings(min_cutoff_hz=0.5, depth_min_cutoff_hz=0.1)),
)


@pytest.mark.parametrize("change", DISPLAY)
def test_what_makes_the_picture_alone_changes_no_number(change: Callable[[PipelineOptions], PipelineOptions]) -> None:
    estimator = Drifting()
    pipeline, options = HandPipeline(estimator), PipelineOptions()
    for index in range(5):
        shown = run(pipeline, frame(index), options)
    for _ in range(3):
        again = run(pipeline, frame(4), change(options))
        assert numbers(again) == numbers(shown) and again.redrawn and not shown.redrawn
    assert estimator.calls == 5


@pytest.mark.parametrize("change", MEASURING)
def test_a_change_estimates_once_from_before_the_frame_and_going_back_gives_the_old_number(
    change: Callable[[PipelineOptions], PipelineOptions],
) -> None:
    estimator = Drifting()
    pipeline, options = HandPipeline(estimator), PipelineOptions()
    for index in range(5):
        shown = run(pipeline, frame(index), options)
    changed = run(pipeline, frame(4), change(options))
    run(pipeline, frame(4), change(options))
    back = run(pipeline, frame(4), options)
    assert numbers(back) == numbers(shown)
    assert numbers(run(pipeline, frame(4), change(options))) == numbers(changed)
    assert estimator.calls <= 6, "one estimate for the change, none for going back"
    assert changed.raw_hands[0].root_m[2] / shown.raw_hands[0].root_m[2] == pytest.approx(
        changed.camera.focal_px[0] / shown.camera.focal_px[0], abs=0.02
    ), "the frame must not count twice in the estimator's memory"
    run(pipeline, frame(4), options)
    assert run(pipeline, frame(5), options).raw_hands[0].root_m[2] == pytest.approx(
        hand(0.36).root_m[2] * shown.camera.focal_px[0] / 138.0, abs=1e-9
    ), "and playing on goes on from this frame"


def test_the_error_of_a_standing_frame_follows_how_certain_the_hand_length_is() -> None:
    estimator = Drifting()
    pipeline, sure = HandPipeline(estimator), PipelineOptions(hand_length_m=0.2)
    run(pipeline, frame(0), sure)
    for std in (0.05, 0.02):
        run(pipeline, frame(0), replace(sure, hand_length_std=std))
        assert estimator.hand_length_std == std
    assert estimator.calls == 3, "the estimator must be asked again: the error is its own"


def test_muting_moves_the_shown_root_by_what_it_says() -> None:
    pipeline, options = HandPipeline(Drifting()), PipelineOptions()
    for index in range(5):
        shown = run(pipeline, frame(index), options)
    assert abs(shown.hands[0].root_m[2] - shown.raw_hands[0].root_m[2]) > 0.001, "smoothing must be at work"
    muted = run(pipeline, frame(4), replace(options, muted=frozenset({4, 8})))
    said = mute_shift_mm(muted.raw_hands[0])
    moved_mm = 1e3 * (muted.hands[0].root_m - shown.hands[0].root_m)
    np.testing.assert_allclose(moved_mm, said, atol=1e-9)


def test_another_calibration_is_not_mixed_with_distances_of_the_old_one() -> None:
    pipeline = HandPipeline(Drifting())
    for index in range(5):
        run(pipeline, frame(index), PipelineOptions())
    result = run(pipeline, frame(5), PipelineOptions(assumed_fov_deg=90.0))
    np.testing.assert_array_equal(result.hands[0].root_m, result.raw_hands[0].root_m)


def _paused(rig) -> FrameResult:
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING and rig.controller.status.model_name != "")
    rig.next_result()
    rig.controller.pause()
    time.sleep(0.2)
    rig.controller.take_result()
    rig.store.change(show_wireframe=True)
    return rig.next_result()


def test_another_model_does_the_standing_frame_again_and_going_back_gives_the_old_number(rig) -> None:
    rig.estimator = Drifting(0.3)
    rig.start()
    shown = _paused(rig)
    rig.estimator = Drifting(0.4)
    rig.store.change(model="landmarks")
    other = rig.next_result()
    assert other.frame.index == shown.frame.index
    assert other.raw_hands[0].root_m[2] - shown.raw_hands[0].root_m[2] == pytest.approx(
        0.1 * shown.camera.focal_px[0] / 138.0
    )
    rig.estimator = Drifting(0.5)
    rig.store.change(model="open")
    assert numbers(rig.next_result()) == numbers(shown)


def test_a_resized_window_and_a_wizard_leave_the_paused_number_alone(rig) -> None:
    rig.estimator = Drifting()
    rig.start()
    shown = _paused(rig)
    rig.controller.set_picture_size(90, 70, 1.0)
    assert numbers(rig.next_result()) == numbers(shown)
    rig.controller.divert(True)
    rig.controller.divert(False)
    rig.controller.set_picture_size(100, 75, 1.0)
    assert numbers(rig.next_result()) == numbers(shown)


@pytest.fixture(scope="module", params=["landmarks", "open"])
def estimator(request: pytest.FixtureRequest) -> Iterator[HandEstimator]:
    with HandEstimator.from_weights(request.param, "cpu") as made:
        yield made


def test_the_demo_paused_bit_for_bit(estimator: HandEstimator) -> None:
    source = open_source("demo")
    source.seek(500)
    frames = [replace(frame, camera=None) for _ in range(12) if (frame := source.read(1.0)) is not None]
    source.close()
    pipeline, options = HandPipeline(estimator), PipelineOptions(picture_size=(640, 360))
    for index in range(11):
        shown = run(pipeline, frames[index], options)
    assert len(shown.hands) == 2
    for change in (*DISPLAY, *MEASURING, lambda options: replace(options, hand_length_m=None)):
        run(pipeline, frames[10], change(options))
        assert numbers(run(pipeline, frames[10], options)) == numbers(shown)
    onwards = run(pipeline, frames[11], options)
    estimator.reset()
    unpaused = HandPipeline(estimator)
    for index in range(12):
        straight = run(unpaused, frames[index], options)
    # Numbers of tracks are never used again, so hands are compared by what was measured.
    assert numbers(onwards) == numbers(straight), "a pause with changes and back must leave no trace"
