"""How a photograph was turned for display, and turning it otherwise: a phone turns pictures, but not its lens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image  # comes with matplotlib

__all__ = ["exif_orientation", "with_orientation"]

_TAG = 0x0112


def exif_orientation(path: Path) -> int:
    """The orientation tag, 1 to 8; 1 (as stored) where there is none or the file cannot be read."""
    try:
        with Image.open(path) as picture:
            tag = picture.getexif().get(_TAG, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1
    return int(tag) if tag in range(1, 9) else 1


def with_orientation(grey: NDArray[np.uint8], shown: int, wanted: int) -> NDArray[np.uint8]:
    """A picture that is shown as one orientation tag says, as it would be shown with another.

    Args:
        grey: (height, width) uint8.
        shown, wanted: orientation tags, 1 to 8.

    Returns:
        (height, width), or (width, height) where one of the two lies on its side.
    """
    return grey if shown == wanted else np.ascontiguousarray(_shown(_stored(grey, shown), wanted))


def _shown(stored: NDArray[np.uint8], tag: int) -> NDArray[np.uint8]:
    picture = stored.T if tag >= 5 else stored
    return picture[:: -1 if tag in (3, 4, 7, 8) else 1, :: -1 if tag in (2, 3, 6, 7) else 1]


def _stored(shown: NDArray[np.uint8], tag: int) -> NDArray[np.uint8]:
    picture = shown[:: -1 if tag in (3, 4, 7, 8) else 1, :: -1 if tag in (2, 3, 6, 7) else 1]
    return picture.T if tag >= 5 else picture
