"""A moving mesh as few shapes that are mixed: what a file can hold of a thousand frames, and every viewer can play.

Each frame's mesh is brought to the pose of the first by a rotation and a shift (which become the motion of the node);
what is left of the motion is written as a base shape plus weighted differences, found by principal components. The
weights of every difference run from 0 to 1, for some programs clip what lies outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.drawing.normals import vertex_normals
from handdgp_core.geometry.alignment import align_rigid

__all__ = ["MorphingMesh", "morph"]

MOST_SHAPES = 64
TOLERANCE_M = 1e-4
_SAMPLES = 512  # frames that the components are found from
_BLOCK = 256


@dataclass(frozen=True)
class MorphingMesh:
    """N frames of V vertices as K shapes.

    vertices of frame i = rotation_i @ (base + sum_k weights_ik * shapes_k) + translation_i

    Attributes:
        base, base_normals: (V, 3).
        shapes, shape_normals: (K, V, 3) differences.
        weights: (N, K) from 0 to 1.
        translations_m: (N, 3).
        rotations: (N, 4) quaternions x, y, z, w, each on the side of the one before.
        worst_error_m: greatest distance of any vertex in any frame to where it should be.
    """

    base: Array
    base_normals: Array
    shapes: Array
    shape_normals: Array
    weights: Array
    translations_m: Array
    rotations: Array
    worst_error_m: float


def morph(
    vertices_m: NDArray[np.floating], roots_m: Array, faces: NDArray[np.int32], tolerance_m: float = TOLERANCE_M
) -> MorphingMesh:
    """Find the shapes.

    Args:
        vertices_m: (N, V, 3), N at least 1; may be a memory map.
        roots_m: (N, 3) what the node moves with.
        faces: (F, 3).
        tolerance_m: error aimed at; more than `MOST_SHAPES` shapes are not made.
    """
    count, size = vertices_m.shape[:2]
    turns = _turns(vertices_m, roots_m)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLES)).astype(int))
    sampled = _turned_back(vertices_m[sample], roots_m[sample], turns[sample]).reshape(len(sample), -1)
    mean = sampled.mean(axis=0)
    basis = _components(sampled - mean, tolerance_m)
    weights = np.empty((count, len(basis)))
    for start in range(0, count, _BLOCK):
        part = slice(start, min(start + _BLOCK, count))
        local = _turned_back(vertices_m[part], roots_m[part], turns[part]).reshape(-1, 3 * size)
        weights[part] = (local - mean) @ basis.T
    low = weights.min(axis=0)
    span = np.maximum(weights.max(axis=0) - low, 1e-12)
    base = (mean + low @ basis).reshape(size, 3)
    shapes = (span[:, None] * basis).reshape(-1, size, 3)
    weights = (weights - low) / span
    normals = _normals(sampled.reshape(-1, size, 3), faces, weights[sample])
    worst = _worst_error(vertices_m, roots_m, turns, base, shapes, weights)
    quaternions = _continuous(Rotation.from_matrix(turns).as_quat())
    return MorphingMesh(base, normals[0], shapes, normals[1:], weights, roots_m, quaternions, worst)


def _turns(vertices_m: NDArray[np.floating], roots_m: Array) -> Array:
    """(N, 3, 3) frame_from_first; where there is none (a mesh on a line) the one of the frame before."""
    first = np.asarray(vertices_m[0], dtype=np.float64) - roots_m[0]
    turns = np.empty((len(vertices_m), 3, 3))
    last = np.eye(3)
    for number, (vertices, root) in enumerate(zip(vertices_m, roots_m, strict=True)):
        found = align_rigid(first, np.asarray(vertices, dtype=np.float64) - root)
        last = last if bool(found.degenerate) else found.rotation
        turns[number] = last
    return turns


def _turned_back(vertices_m: NDArray[np.floating], roots_m: Array, turns: Array) -> Array:
    return np.asarray((vertices_m - roots_m[:, None]) @ turns)


def _components(deviations: Array, tolerance_m: float) -> Array:
    """(K, 3V) orthonormal rows: as few as keep every vertex within the tolerance."""
    gram = deviations @ deviations.T
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(-values)
    order = order[values[order] > 1e-14 * max(1e-12, float(values.max()))][:MOST_SHAPES]
    if not len(order):
        return np.zeros((0, deviations.shape[1]))
    rows = (vectors[:, order].T @ deviations) / np.sqrt(values[order])[:, None]
    left, used = deviations.copy(), 0
    for row in rows:
        if np.linalg.norm(left.reshape(len(left), -1, 3), axis=2).max() <= tolerance_m:
            break
        left -= np.outer(left @ row, row)
        used += 1
    return np.asarray(rows[:used])


def _normals(sampled: Array, faces: NDArray[np.int32], weights: Array) -> Array:
    """(1 + K, V, 3): normals of the base and their differences, fitted to the true normals of the sampled frames."""
    targets = np.stack([vertex_normals(vertices, faces) for vertices in sampled])
    design = np.hstack([np.ones((len(weights), 1)), weights])
    fitted, *_ = np.linalg.lstsq(design, targets.reshape(len(targets), -1), rcond=1e-6)
    fitted = fitted.reshape(-1, *targets.shape[1:])
    length = np.linalg.norm(fitted[0], axis=1, keepdims=True)
    unit = np.where(length > 1e-9, fitted[0] / np.maximum(length, 1e-9), [0.0, 0.0, 1.0])
    return np.concatenate([unit[None], fitted[1:]])


def _worst_error(
    vertices_m: NDArray[np.floating], roots_m: Array, turns: Array, base: Array, shapes: Array, weights: Array
) -> float:
    worst = 0.0
    for start in range(0, len(vertices_m), _BLOCK):
        part = slice(start, start + _BLOCK)
        local = base + np.einsum("nk,kvi->nvi", weights[part], shapes)
        made = local @ np.swapaxes(turns[part], 1, 2) + roots_m[part, None]
        worst = max(worst, float(np.linalg.norm(made - vertices_m[part], axis=2).max()))
    return worst


def _continuous(quaternions: Array) -> Array:
    """The same rotations, none more than a quarter turn (in 4D) from the one before, so that players do not spin."""
    flips = np.sign(np.einsum("ni,ni->n", quaternions[1:], quaternions[:-1]))
    signs = np.concatenate([[1.0], np.cumprod(np.where(flips == 0, 1.0, flips))])
    return np.asarray(quaternions * signs[:, None])
