"""What a distance may be off by, beside the noise of its own picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.estimation.distance_error import ASSUMED_FOCAL_STD, DistanceError
from handdgp_core.geometry.camera import Camera

ERROR = DistanceError(depth_m=0.012, share=0.02, edge_on=0.08, size=0.05)
CALIBRATED = Camera(640, 480, np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]))


def palm(distance_m: float, turn_deg: float = 0.0) -> Array:
    """(21, 3) a flat hand on the optical axis, its palm turned away from the camera about the y axis."""
    rng = np.random.default_rng(0)
    flat = np.concatenate([rng.uniform(-0.05, 0.05, (21, 2)), np.zeros((21, 1))], axis=1)
    flat[[0, 5, 17]] -= flat[[0, 5, 17]].mean(axis=0)
    return np.asarray(Rotation.from_euler("y", turn_deg, degrees=True).apply(flat) + [0.0, 0.0, distance_m])


def test_the_parts_add_as_variances() -> None:
    facing = ERROR.relative(palm(0.4), CALIBRATED, length_given=True)
    assert facing == pytest.approx(np.hypot(0.012 / 0.4, 0.02))
    unknown = ERROR.relative(palm(0.4), CALIBRATED, length_given=False)
    assert unknown == pytest.approx(np.hypot(facing, 0.05))
    guessed = ERROR.relative(palm(0.4), Camera.assumed(640, 480), length_given=False)
    assert guessed == pytest.approx(np.hypot(unknown, ASSUMED_FOCAL_STD))


def test_a_hand_right_before_the_camera_is_less_certain_than_its_depth_alone_would_make_it() -> None:
    near = replace(ERROR, near_m=0.04)
    for distance_m, wanted in ((0.15, np.hypot(0.012 / 0.15, 0.02)), (0.6, np.hypot(0.012 / 0.6, 0.02))):
        found = near.relative(palm(distance_m), CALIBRATED, length_given=True)
        assert found == pytest.approx(np.hypot(wanted, (0.04 / distance_m) ** 2))


def test_the_calibrations_own_uncertainty_is_one_of_the_parts() -> None:
    facing = ERROR.relative(palm(0.4), CALIBRATED, length_given=True)
    stated = replace(CALIBRATED, std=np.array([6.0, 18.0, 1.0, 1.0]))
    assert ERROR.relative(palm(0.4), stated, length_given=True) == pytest.approx(np.hypot(facing, 18 / 600))


def test_a_palm_seen_edge_on_is_less_certain() -> None:
    edge_on = ERROR.relative(palm(0.4, 90.0), CALIBRATED, length_given=True)
    assert edge_on == pytest.approx(np.sqrt(0.03**2 + 0.02**2 + 0.08**2))
    slanted = ERROR.relative(palm(0.4, 60.0), CALIBRATED, length_given=True)
    assert ERROR.relative(palm(0.4), CALIBRATED, length_given=True) < slanted < edge_on


@given(st.floats(0.1, 2.0), st.floats(-180.0, 180.0), st.integers(0, 1000))
def test_it_does_not_change_with_the_direction_that_the_hand_lies_in(
    distance_m: float, turn_deg: float, seed: int
) -> None:
    points = palm(distance_m, turn_deg)
    elsewhere = points @ Rotation.random(random_state=seed).as_matrix().T
    there, here = (ERROR.relative(part, CALIBRATED, length_given=True) for part in (elsewhere, points))
    assert there == pytest.approx(here, rel=1e-9)


def test_a_hand_without_a_place_has_no_error() -> None:
    assert np.isnan(ERROR.relative(np.full((21, 3), np.nan), CALIBRATED, length_given=True))
