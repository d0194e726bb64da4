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
