"""One picture of many samples, to look at before a training runs on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.datasets.sample import LabelledHand, LabelledHands
from handdgp_core.files import write_bytes

__all__ = ["contact_sheet", "write_contact_sheet"]

# Keypoints by what hides them: nothing green, a hand yellow, a thing red, the picture's edge violet. RGB.
_COLOURS = ((60, 220, 60), (240, 220, 40), (240, 60, 40), (220, 60, 240))
_TILE_PX = 180


def contact_sheet(hands: LabelledHands, rows: int = 8, columns: int = 10) -> NDArray[np.uint8]:
    """RGB picture of evenly spaced samples; every second one with its keypoints."""
    count = min(rows * columns, len(hands))
    indices = np.linspace(0, len(hands) - 1, count).round().astype(int)
    tiles = [_tile(hands[int(index)], place % 2 == 1) for place, index in enumerate(indices)]
    tiles += [np.zeros_like(tiles[0])] * (-count % columns)
    lines = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(lines)


def write_contact_sheet(hands: LabelledHands, path: Path) -> None:
    """`contact_sheet` as a PNG file, never half.

    Raises:
        OutputError: the place cannot be written.
    """
    content = cv2.imencode(".png", cv2.cvtColor(contact_sheet(hands), cv2.COLOR_RGB2BGR))[1]
    write_bytes(path, content.tobytes())


def _tile(sample: LabelledHand, marked: bool) -> NDArray[np.uint8]:
    image = sample.image.copy()
    if marked:
        pixels = sample.keypoints_m @ sample.matrix.T
        occlusion = np.zeros(len(pixels), np.uint8) if sample.occlusion is None else sample.occlusion
        for (x, y), kind in zip(pixels[:, :2] / pixels[:, 2:], occlusion.tolist(), strict=True):
            cv2.circle(image, (round(float(x)), round(float(y))), max(2, len(image) // 90), _COLOURS[kind], -1)
    return np.asarray(cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)
