"""Weighted alignment of point sets (Procrustes), and rotation vectors.

Rigid: Kabsch 1976. Similarity: Umeyama 1991, with the guard against reflections. Both minimise the sum of
(w_i |target_i - (s R source_i + t)|)^2: weights multiply residuals, as everywhere here (docs/conventions.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.errors import ShapeError

__all__ = ["Alignment", "align_rigid", "align_similarity", "matrix_from_rotation_vector", "rotation_vector_from_matrix"]

Array = NDArray[np.float64]

REASONS: tuple[str | None, ...] = (
    None,
    "input not finite, or a negative weight",
    "fewer than 3 points with weight",
    "points on one line or in one place: the rotation is not unique",
)
# Relative to the largest singular value of the correlation, whose rounding is near 1e-15.
_UNIQUE = 1e-10


@dataclass(frozen=True)
class Alignment:
    """target = scale * rotation @ source + translation.

    Attributes:
        rotation: (..., 3, 3) target_from_source. NaN where degenerate, like the two below.
        translation: (..., 3) in the target's unit.
        scale: (...) 1 for a rigid alignment.
        reason_code: (...) int, 0 or an index into `REASONS`.
    """

    rotation: Array
    translation: Array
    scale: Array
    reason_code: NDArray[np.int64]

    @property
    def degenerate(self) -> NDArray[np.bool_]:
        """(...) bool: there is no unique alignment."""
        return np.asarray(self.reason_code != 0)

    @property
    def reasons(self) -> list[str | None]:
        """Why there is no alignment, for each sample in flat order; None where there is one."""
        return [REASONS[code] for code in np.ravel(self.reason_code)]

    def apply(self, points: ArrayLike) -> Array:
        """Source points (..., N, 3) in the target's frame. Leading dimensions as those of the alignment."""
        turned = np.asarray(points, dtype=np.float64) @ np.swapaxes(self.rotation, -1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def align_rigid(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> Alignment:
    """Rotation and translation that bring `source` nearest to `target`.

    Args:
        source: (..., N, 3).
        target: (..., N, 3) the same points, elsewhere.
        weights: (..., N) at least 0, multiply the residuals; ones where left out. Points of weight 0 take no part.

    Raises:
        ShapeError: shapes that do not belong together.
    """
    return _align(source, target, weights, scaled=False)


def align_similarity(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> Alignment:
    """Rotation, translation and one scale that bring `source` nearest to `target`. Arguments as in `align_rigid`."""
    return _align(source, target, weights, scaled=True)


def matrix_from_rotation_vector(vectors: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3): axis times angle in radians."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def rotation_vector_from_matrix(matrices: ArrayLike) -> Array:
    """Rotation vectors (..., 3), angle from 0 to pi, of rotation matrices (..., 3, 3)."""
    matrices = np.asarray(matrices, dtype=np.float64)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(matrices.shape[:-1])


def _align(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None, scaled: bool) -> Alignment:
    source, target, weights = _checked(source, target, weights)
    bad_input = _broken(source, target, weights)
    used = (weights > 0) & ~bad_input[..., None]
    few = used.sum(axis=-1) < 3
    squared = np.where(used, weights, 0.0) ** 2
    squared = squared / np.where(few, 1.0, squared.sum(axis=-1))[..., None]
    source, target = (np.where(used[..., None], points, 0.0) for points in (source, target))
    mean_source, mean_target = (np.einsum("...n,...nc->...c", squared, points) for points in (source, target))
    from_source, from_target = source - mean_source[..., None, :], target - mean_target[..., None, :]

    correlation = np.einsum("...n,...ni,...nj->...ij", squared, from_target, from_source)
    left, sizes, right = np.linalg.svd(correlation)
    guard = np.ones_like(sizes)
    guard[..., 2] = np.where(np.linalg.det(left) * np.linalg.det(right) < 0, -1.0, 1.0)
    rotation = (left * guard[..., None, :]) @ right
    scale = np.ones(sizes.shape[:-1])
    if scaled:
        spread = np.einsum("...n,...nc->...", squared, from_source**2)
        scale = (sizes * guard).sum(axis=-1) / np.where(spread > 0, spread, np.nan)
    translation = mean_target - scale[..., None] * np.einsum("...ij,...j->...i", rotation, mean_source)

    ambiguous = ~(sizes[..., 1] + guard[..., 2] * sizes[..., 2] > _UNIQUE * sizes[..., 0])
    code = np.select([bad_input, few, ambiguous], [1, 2, 3], default=0)
    bad = code != 0
    return Alignment(
        np.where(bad[..., None, None], np.nan, rotation),
        np.where(bad[..., None], np.nan, translation),
        np.where(bad, np.nan, scale),
        np.asarray(code, dtype=np.int64),
    )


def _checked(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    weights = np.ones(source.shape[:-1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if source.ndim < 2 or source.shape[-1] != 3 or target.shape != source.shape or weights.shape != source.shape[:-1]:
        actual = f"source {source.shape}, target {target.shape}, weights {weights.shape}"
        raise ShapeError(f"Source and target must have one shape (..., N, 3) and weights (..., N), not {actual}.")
    return source, target, weights


def _broken(source: Array, target: Array, weights: Array) -> NDArray[np.bool_]:
    finite = np.isfinite(source).all(axis=-1) & np.isfinite(target).all(axis=-1)
    return np.asarray((~np.isfinite(weights) | (weights < 0) | ((weights > 0) & ~finite)).any(axis=-1))
