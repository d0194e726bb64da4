"""Pictures of predictions for the log: crop, prediction and truth side by side, one sample a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import LIGHT, weight_colours
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh
from handdgp_core.geometry.pixels import resized_matrix
from handdgp_core.networks.output import NetworkOutput

__all__ = ["draw_batch"]

_PREDICTED, _TRUE = (70, 150, 255), (90, 200, 120)
_OPACITY = 0.6
_LEAST_SIDE = 224
_GAP = 2


def draw_batch(
    view: Mapping[str, Tensor], output: NetworkOutput, faces: NDArray[np.integer], hand_scale_m: float, count: int
) -> NDArray[np.uint8]:
    """The first samples of a batch.

    Args:
        view: images and labels.
        output: what the network said.
        faces: (F, 3) of its mesh.
        hand_scale_m: metres in a unit of the labels' vertices.
        count: how many, at most.

    Returns:
        (count * (S + 2), 3 * (S + 2), 3) uint8: crop with 2D keypoints coloured by weight; predicted mesh (blue); true
        mesh (green). S is the crop's side, enlarged by a whole factor where it is small.
    """
    rows = []
    for number in range(min(count, len(output.weights))):
        sample = {name: _array(value[number]) for name, value in view.items() if isinstance(value, Tensor)}
        guess = {name: _array(value[number]) for name, value in output._asdict().items()}
        rows.append(_row(sample, guess, np.asarray(faces, dtype=np.int32), hand_scale_m))
    return np.concatenate(rows)


def _row(sample: dict[str, Any], guess: dict[str, Any], faces: NDArray[np.int32], scale_m: float) -> NDArray[np.uint8]:
    crop = np.ascontiguousarray((sample["image"].transpose(1, 2, 0) * 255).clip(0, 255).astype(np.uint8))
    zoom = max(1, _LEAST_SIDE // crop.shape[0])
    crop = np.asarray(cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    matrix = resized_matrix(sample["intrinsics"], zoom)
    dots, predicted, true = crop.copy(), crop.copy(), crop.copy()
    _draw_dots(dots, guess["keypoints_uv"] * crop.shape[0] - 0.5, guess["weights"])
    _draw_mesh(predicted, guess["vertices_m"], matrix, faces, _PREDICTED)
    if sample["has_vertices"] > 0 and sample["has_root"] > 0:
        _draw_mesh(true, sample["vertices"] * scale_m + sample["root_m"], matrix, faces, _TRUE)
    tiles = [cv2.copyMakeBorder(tile, 0, _GAP, 0, _GAP, cv2.BORDER_CONSTANT) for tile in (dots, predicted, true)]
    return np.concatenate([np.asarray(tile, dtype=np.uint8) for tile in tiles], axis=1)


def _draw_mesh(
    image: NDArray[np.uint8], vertices_m: Array, matrix: Array, faces: NDArray[np.int32], colour: tuple[int, int, int]
) -> None:
    if not np.isfinite(vertices_m).all():
        return
    depth = np.where(vertices_m[:, 2:] > 0, vertices_m[:, 2:], np.nan)
    pixels = vertices_m[:, :2] / depth * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
    paint_mesh(image, ProjectedMesh(vertices_m, pixels, faces), colour, _OPACITY)


def _draw_dots(image: NDArray[np.uint8], pixels: Array, weights: Array) -> None:
    radius = max(2, image.shape[0] // 75)
    for (x, y), colour in zip(np.nan_to_num(pixels), weight_colours(weights).tolist(), strict=True):
        centre = (round(float(x)), round(float(y)))
        cv2.circle(image, centre, radius + 1, LIGHT, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)


def _array(value: Tensor) -> Any:
    return value.detach().float().cpu().numpy().astype(np.float64)
