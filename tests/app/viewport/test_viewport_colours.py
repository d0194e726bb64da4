"""The weight colours are viridis, and text and lines stand out from the background."""

import cv2
import numpy as np
import pytest

from app.viewport.colours import THEMES, weight_colours


def test_weight_colours_are_viridis():
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_VIRIDIS).reshape(256, 3)[:, ::-1] / 255.0
    assert np.abs(weight_colours(np.arange(256) / 255.0) - table).max() < 0.003


def test_weights_outside_are_clipped_and_nan_counts_as_zero():
    colours = weight_colours([-1.0, 0.0, np.nan, 1.0, 7.0])
    assert np.array_equal(colours[0], colours[1]) and np.array_equal(colours[2], colours[1])
    assert np.array_equal(colours[3], colours[4])
    assert weight_colours(np.zeros((2, 5))).shape == (2, 5, 3)


def luminance(rgb):
    linear = np.where(np.array(rgb) <= 0.04045, np.array(rgb) / 12.92, ((np.array(rgb) + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("name", ["dark", "light"])
@pytest.mark.parametrize(("part", "least"), [("camera", 7.0), ("root", 7.0), ("floor_strong", 1.7), ("right", 2.0)])
def test_contrast_with_the_background(name, part, least):
    light, dark = sorted((luminance(getattr(THEMES[name], part)), luminance(THEMES[name].background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > least
