"""Which camera a frame gets."""

from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.types import Frame

OWN = Camera.assumed(320, 240, 80.0, name="own")
CALIBRATED = Camera(640, 480, np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]))


def frame(width: int, height: int, camera: Camera | None = None) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8), 0, 0, camera=camera)


def test_what_the_source_knows_goes_first_then_the_calibration_then_an_assumption() -> None:
    assert CameraChooser(CALIBRATED).camera_for(frame(320, 240, OWN)) == OWN
    assert CameraChooser(CALIBRATED).camera_for(frame(640, 480)) == CALIBRATED
    assumed = CameraChooser(horizontal_fov_deg=75.0).camera_for(frame(640, 480))
    assert assumed.source == "assumed" and np.degrees(assumed.horizontal_fov_rad) == pytest.approx(75.0, abs=0.1)


def test_a_calibration_follows_the_size_of_the_picture_but_not_another_shape() -> None:
    chooser = CameraChooser(CALIBRATED)
    half = chooser.camera_for(frame(320, 240))
    assert half.size == (320, 240) and half.focal_px[0] == pytest.approx(250.0)
    assert chooser.camera_for(frame(640, 480)) == CALIBRATED
    with pytest.raises(CameraError):
        chooser.camera_for(frame(640, 360))
    assert chooser.assumed_for(frame(640, 360)).source == "assumed"


def test_the_choice_stands_on_the_frame_beside_what_the_source_knows() -> None:
    shown = frame(320, 240, OWN)
    chosen = CameraChooser(CALIBRATED, overrides=True).choose(shown)
    assert chosen.camera == OWN and chosen.used_camera == CALIBRATED.scaled_to(320, 240) and chosen.problem is None
    assert chosen.image is shown.image
    assert CameraChooser().choose(chosen).used_camera == OWN  # chosen again, from what the source knows


def test_a_recorded_guess_gives_way_where_that_is_asked_for() -> None:
    again = CameraChooser(horizontal_fov_deg=50.0, overrides=True, overrides_assumed=True)
    assert again.choose(frame(320, 240, OWN)).used_camera == Camera.assumed(320, 240, 50.0)
    measured = CALIBRATED.scaled_to(320, 240)
    assert again.choose(frame(320, 240, measured)).used_camera == measured


def test_a_calibration_that_does_not_fit_is_refused_or_replaced_with_the_reason() -> None:
    chooser = CameraChooser(CALIBRATED)
    with pytest.raises(CameraError):
        chooser.choose(frame(640, 360))
    chosen = chooser.choose_or_assume(frame(640, 360))
    assert chosen.used_camera == chooser.assumed_for(frame(640, 360)) and isinstance(chosen.problem, CameraError)
