from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.errors import UsageError
from handdgp_core.export.axes import NAMES, describe, target_from_opencv

RIGHT, DOWN, FORWARD = np.eye(3)


@pytest.mark.parametrize("name", NAMES)
def test_is_a_proper_rotation(name):
    rotation = target_from_opencv(name)
    np.testing.assert_array_equal(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "right", "down", "forward"),
    [
        ("opencv", (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ("opengl", (1, 0, 0), (0, -1, 0), (0, 0, -1)),
        ("blender", (1, 0, 0), (0, 0, -1), (0, 1, 0)),
    ],
)
def test_known_directions(name, right, down, forward):
    rotation = target_from_opencv(name)
    np.testing.assert_array_equal(rotation @ RIGHT, right)
    np.testing.assert_array_equal(rotation @ DOWN, down)
    np.testing.assert_array_equal(rotation @ FORWARD, forward)


@pytest.mark.parametrize("call", [target_from_opencv, describe])
def test_unknown_axes_name_the_known_ones(call):
    with pytest.raises(UsageError, match="opencv, opengl, blender"):
        call("unity")


def test_the_result_may_be_changed_by_the_caller():
    target_from_opencv("opencv")[:] = 7
    np.testing.assert_array_equal(target_from_opencv("opencv"), np.eye(3))
