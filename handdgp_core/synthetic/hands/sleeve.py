"""A sleeve over the forearm: the arm's own surface, a little wider, in folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from handdgp_core.synthetic.hands.forearm import HandOnForearm
from handdgp_core.synthetic.rendering.scene import Material
from handdgp_core.synthetic.rendering.surface import SmoothSurface

Floats = NDArray[np.float64]
_REPEAT_M = 0.14  # one tile of the cloth
_CUFF_M = 0.03


class Sleeve:
    """Cloth from `start_m` behind the hand to the end of the arm mesh.

    Args:
        body: the arm that wears it.
        start_m: distance of the cuff from the edge of the hand mesh.
        seed: of the folds.
        levels: how often every triangle is split into four.

    Attributes:
        surface: render surface of the cloth.
    """

    def __init__(self, body: HandOnForearm, start_m: float, seed: int, levels: int = 2) -> None:
        faces = body.arm.faces
        covered = (body.behind_m[faces] > start_m).all(axis=1)
        self._index, own = np.unique(faces[covered], return_inverse=True)
        own = own.reshape(-1, 3)
        along = body.behind_m[self._index]
        around = body.around_rad[self._index]
        self._lift_m = _looseness(along - along.min(), around, seed)[:, None]
        self._coarse = SmoothSurface(own, levels=0)
        uv, uv_faces = _unrolled(own, around, along)
        self.surface = SmoothSurface(own, uv, uv_faces, levels)

    def refine(self, arm_vertices: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Positions and normals of the cloth over a posed arm (Va, 3)."""
        skin = arm_vertices[self._index]
        normals = np.empty_like(skin)
        placed = self._coarse.refine(skin)[1]
        normals[self._coarse.source] = placed
        return self.surface.refine(skin + normals * self._lift_m)


def cloth_material(colour: tuple[float, float, float], seed: int, size: int = 512) -> Material:
    """Knitted cloth, one tile.

    Args:
        colour: sRGB in [0, 1].
        seed: of the yarn.
        size: texels a side.
    """
    draw = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size] / size
    knit = np.sin(2 * np.pi * 56 * column) * np.sin(2 * np.pi * 48 * row + 1.5 * np.sin(2 * np.pi * 56 * column))
    yarn = ndimage.gaussian_filter(draw.standard_normal((size, size)), 1.0, mode="wrap") * 2
    patches = ndimage.gaussian_filter(draw.standard_normal((size, size)), 24, mode="wrap") * 60
    shade = 1 + 0.07 * knit + 0.06 * yarn + 0.03 * patches
    albedo = np.empty((size, size, 4), np.uint8)
    albedo[..., :3] = np.clip(np.asarray(colour) * shade[..., None] * 255, 0, 255)
    albedo[..., 3] = 5
    height = 0.28 * knit + 0.10 * yarn + 0.25 * patches
    return Material(albedo, height.astype(np.float32), wrap=(0.2, 0.2, 0.2), specular=0.01, sheen=0.35)


def _looseness(along: Floats, around: Floats, seed: int) -> Floats:
    """How far the cloth stands off the skin: close at the cuff, wide and folded behind it."""
    draw = np.random.default_rng(seed)
    loose = np.clip((along - _CUFF_M) / 0.05, 0, 1)
    folds = np.zeros_like(along)
    for _ in range(5):
        turns, waves = draw.integers(0, 3), draw.uniform(16, 42)
        folds += draw.uniform(0.4, 1.0) * np.sin(turns * around + 2 * np.pi * waves * along + draw.uniform(0, 6.28))
    return 0.0035 + loose * (0.007 + 0.0016 * folds)


def _unrolled(faces: NDArray[np.int64], around: Floats, along: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Texture coordinates per corner, so that no triangle spans the seam where the angle jumps."""
    angle = around[faces]
    angle = np.where(angle - angle.max(axis=1, keepdims=True) < -np.pi, angle + 2 * np.pi, angle)
    radius_m = 0.042
    uv = np.stack([angle * radius_m / _REPEAT_M, along[faces] / _REPEAT_M], axis=-1)
    return uv.reshape(-1, 2), np.arange(faces.size).reshape(-1, 3)
