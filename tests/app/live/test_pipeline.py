"""Camera choice, display picture, smoothing and truth: everything between a frame and the panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.live.display_image import shown_size
from app.live.frame_result import FrameResult, PipelineOptions
from app.live.pipeline import HandPipeline, preview
from app.live.truth import compare, truth_of
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.errors import CameraError
from handdgp_core.estimation.smoothing import SmoothingSettings
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.demo import DemoTruth
from handdgp_core.types import Frame
from tests.app.doubles import HEIGHT, WIDTH, ScriptedEstimator, ScriptedSource, degenerate_hand, frame, hand, keypoints

BARE = OverlayStyle(mesh=False, keypoints=False, root=False, labels=False)


def test_the_frames_own_camera_goes_before_the_calibration() -> None:
    own = Camera.assumed(WIDTH, HEIGHT, 40.0)
    options = PipelineOptions(calibration=Camera.assumed(WIDTH, HEIGHT, 90.0))
    chosen = options.cameras().choose_or_assume(frame(camera=own))
    assert (chosen.used_camera, chosen.problem) == (own, None)


def test_calibration_then_assumption() -> None:
    calibration = replace(Camera.assumed(2 * WIDTH, 2 * HEIGHT, 90.0), source="calibrated")
    chosen = PipelineOptions(calibration=calibration).cameras().choose_or_assume(frame())
    camera = chosen.used_camera
    assert camera.size == (WIDTH, HEIGHT) and camera.source == "calibrated" and chosen.problem is None
    camera = PipelineOptions(assumed_fov_deg=75.0).cameras().choose_or_assume(frame()).used_camera
    assert camera.source == "assumed" and np.degrees(camera.horizontal_fov_rad) == pytest.approx(75.0)


def test_a_calibration_that_does_not_fit_is_refused_and_not_bent() -> None:
    calibration = replace(Camera.assumed(WIDTH, WIDTH, 90.0), source="calibrated")
    chosen = PipelineOptions(calibration=calibration).cameras().choose_or_assume(frame())
    assert chosen.used_camera.source == "assumed" and isinstance(chosen.problem, CameraError)
    again = PipelineOptions(assumed_fov_deg=75.0).cameras().choose_or_assume(chosen)
    assert again.problem is None and np.degrees(again.used_camera.horizontal_fov_rad) == pytest.approx(75.0)


def run(pipeline: HandPipeline, shown: Frame, options: PipelineOptions) -> FrameResult:
    return pipeline.process(options.cameras().choose_or_assume(shown), options)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 3000), st.integers(1, 3000))
def test_shown_size_fits_keeps_aspect_and_never_grows(width: int, height: int, across: int, down: int) -> None:
    shown = shown_size(width, height, (across, down))
    assert 1 <= shown[0] <= max(1, min(width, across)) and 1 <= shown[1] <= max(1, min(height, down))
    scale = min(1.0, across / width, down / height)
    assert abs(shown[0] - width * scale) <= 1.0 and abs(shown[1] - height * scale) <= 1.0


def test_mirror_changes_the_picture_and_nothing_else() -> None:
    pipeline = HandPipeline(ScriptedEstimator())
    plain = run(pipeline, frame(), PipelineOptions(overlay=BARE))
    mirrored = run(pipeline, frame(1), PipelineOptions(overlay=BARE, mirror=True))
    np.testing.assert_array_equal(mirrored.picture, plain.picture[:, ::-1])
    np.testing.assert_array_equal(mirrored.raw_hands[0].keypoints_px, plain.raw_hands[0].keypoints_px)
    assert mirrored.hands[0].handedness == "right"


@settings(deadline=None, max_examples=25)
@given(st.integers(20, 160), st.integers(20, 120))
def test_overlay_of_a_shrunk_picture_lies_on_the_hand(across: int, down: int) -> None:
    """Keypoints drawn after shrinking cover the places that shrinking would have moved them to."""
    options = PipelineOptions(picture_size=(across, down), overlay=OverlayStyle(mesh=False, root=False, labels=False))
    result = run(HandPipeline(ScriptedEstimator()), frame(), options)
    height, width = result.picture.shape[:2]
    assert width <= across and height <= down
    middle = (result.raw_hands[0].keypoints_px[9] + 0.5) * [width / WIDTH, height / HEIGHT] - 0.5
    column, row = np.clip(np.round(middle).astype(int), 0, [width - 1, height - 1])
    assert not np.array_equal(result.picture[row, column], frame().image[60, 80])


def test_smoothing_follows_the_options_and_leaves_raw_hands_alone() -> None:
    estimator = ScriptedEstimator(hands=[hand(0.30)])
    pipeline = HandPipeline(estimator)
    run(pipeline, frame(0), PipelineOptions())
    estimator.hands = [hand(0.32)]
    smooth = run(pipeline, frame(1), PipelineOptions())
    assert 0.30 < smooth.hands[0].root_m[2] < smooth.raw_hands[0].root_m[2] == pytest.approx(0.32)
    off = run(pipeline, frame(2), PipelineOptions(smoothing=SmoothingSettings(enabled=False)))
    np.testing.assert_array_equal(off.hands[0].root_m, off.raw_hands[0].root_m)


def test_degenerate_hands_pass_through() -> None:
    result = run(HandPipeline(ScriptedEstimator(hands=[degenerate_hand()])), frame(), PipelineOptions())
    assert result.hands[0].degenerate == "too few valid weights"


def test_preview_is_the_bare_picture() -> None:
    options = PipelineOptions(mirror=True)
    result = preview(options.cameras().choose(frame()), options)
    assert result.preview and result.hands == []
    np.testing.assert_array_equal(result.picture, frame().image[:, ::-1])


def _truth() -> DemoTruth:
    points = np.stack([keypoints(0.30), keypoints(0.40)])
    camera = Camera.assumed(WIDTH, HEIGHT)
    return DemoTruth(camera, np.array([0, 1]), ("right", "left"), points, points[:, 0])


def test_errors_against_the_truth_are_by_side_and_frame() -> None:
    result = run(HandPipeline(ScriptedEstimator(hands=[hand(0.305)])), frame(0), PipelineOptions(truth=_truth()))
    assert result.truth[0] is not None and result.truth[0].error_mm == pytest.approx(5.0, abs=1e-6)
    assert compare(_truth(), 1, [hand()]) == [None], "the left hand of frame 1 is not the truth of a right hand"
    assert compare(_truth(), 7, [hand()]) == [None]
    assert compare(None, 0, [hand(), hand()]) == [None, None]


def test_only_the_demo_knows_a_truth() -> None:
    assert truth_of(ScriptedSource()) is None
