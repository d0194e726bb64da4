"""Readable text over any image: a plate of dark glass behind proportional letters, any size."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.drawing.colours import DARK

_WEIGHT = 600  # semibold
_PLATE_SHARE = 0.7  # how much of the picture the plate hides
_fonts = threading.local()  # OpenCV's font objects keep a glyph cache, so each thread has its own


def _font() -> cv2.FontFace:
    if not hasattr(_fonts, "sans"):
        _fonts.sans = cv2.FontFace("sans")
    return _fonts.sans


def _padding(size_px: float) -> int:
    return max(2, round(0.35 * size_px))


def text_size(text: str, size_px: float) -> tuple[int, int]:
    """Width and height in pixels of the plate that `draw_text` paints for letters of `size_px`."""
    _, _, width, height = cv2.getTextSize((1, 1), text, (0, 0), _font(), round(size_px), _WEIGHT)
    pad = _padding(size_px)
    return width + 3 * pad, max(height, round(size_px)) + pad


def draw_text(
    image: NDArray[np.uint8],
    text: str,
    top_left: tuple[int, int],
    size_px: float,
    colour: Sequence[int],
    accent: Sequence[int] | None = None,
) -> None:
    """Draws one line of text into `image` (height, width, 3), in place; what does not fit is cut off.

    Args:
        image: uint8 RGB.
        text: any characters of the font; others show as question marks.
        top_left: (x, y) of the plate, in pixels.
        size_px: height of the letters.
        colour: RGB of the letters.
        accent: RGB of a bar at the left end of the plate.
    """
    width, height = text_size(text, size_px)
    left, top = top_left
    plate = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if not plate.size:
        return
    dark = np.empty_like(plate)
    dark[:] = DARK
    plate[:] = cv2.addWeighted(dark, _PLATE_SHARE, plate, 1.0 - _PLATE_SHARE, 0.0)
    pad = _padding(size_px)
    if accent is not None:
        plate[:, : max(1, pad // 2)] = accent
    baseline = top + (height + round(0.72 * size_px)) // 2
    cv2.putText(image, text, (left + round(1.6 * pad), baseline), colour, _font(), round(size_px), _WEIGHT)
