"""Where the hand is in a sample's image: the fourth channel of a sample, for networks that learn silhouettes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.images import read_image

__all__ = ["silhouette"]

_SHIFT = 4  # fractional bits of OpenCV's drawing: a sixteenth of a pixel


def silhouette(sample: LabelledHand, faces: NDArray[np.integer]) -> NDArray[np.uint8] | None:
    """(height, width) 255 on the hand and 0 beside it: the data set's own, else the mesh's; None without either.

    Args:
        sample: its mesh, if any, has the topology of `faces`.
        faces: (F, 3).

    Raises:
        DatasetError: a silhouette of the data set that cannot be read.
    """
    size = sample.image.shape[:2]
    if sample.mask_file is not None:
        return _read(sample, size)
    if sample.vertices_m is None or not (sample.vertices_m[:, 2] > 0).all():
        return None
    pixels = Camera(size[1], size[0], sample.matrix).project(sample.vertices_m)
    return _filled(pixels, faces, size) if np.isfinite(pixels).all() else None


def _read(sample: LabelledHand, size: tuple[int, int]) -> NDArray[np.uint8]:
    assert sample.mask_file is not None
    try:
        mask = read_image(sample.mask_file, use_exif=False)
    except SourceError as error:
        raise DatasetError(f"Could not read the silhouette of {sample.name}: {error.problem}") from error
    if mask.shape[:2] != size:
        raise DatasetError(f"The silhouette {sample.mask_file} is of {mask.shape[:2]} pixels, its image of {size}.")
    return np.where(mask[..., 0] > 127, 255, 0).astype(np.uint8)  # JPEG leaves grey at the edges


def _filled(pixels: Array, faces: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.uint8]:
    mask = np.zeros(size, dtype=np.uint8)
    corners = np.round(np.clip(pixels, -1e4, 1e4) * 2**_SHIFT).astype(np.int32)[faces]
    for triangle in corners:  # all at once, OpenCV would leave holes where an even number overlap
        cv2.fillConvexPoly(mask, triangle, 255, shift=_SHIFT)
    return mask
