"""A template: everything about a mesh topology that the network, the losses and the viewers need.

Any triangle mesh with a linear keypoint regressor can be one: a hand, or a body. `build_template` derives the coarser
levels, the way back up and the spirals, and keeps the result in the user's cache folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError
from handdgp_core.hands.topology.hierarchy import Mesh, build_levels, upsampling_matrix
from handdgp_core.hands.topology.spirals import LENGTH, spirals
from handdgp_core.hands.topology.template_cache import content_key, recall, remember

__all__ = ["HAND_SCALE_M", "Template", "build_template"]

HAND_SCALE_M = 0.2
_HALVINGS = 4


@dataclass(frozen=True, eq=False)
class Template:
    """A mesh with K keypoints, V vertices, F faces and L coarser levels (numbered 1 to L; level 0 is the mesh).

    Attributes:
        name: "open", "mano" ...
        levels: L + 1 meshes, fine to coarse; metres, the mean shape. Level 0's vertices are root-relative.
        upsampling: L sparse matrices (V_l, V_l+1): vertices of level l from those of level l + 1. Rows sum to 1.
        spirals: L arrays (V_l, 9) of vertex numbers, levels 0 to L - 1.
        keypoint_regressor: (K, V) keypoints from vertices; keypoint 0 is the root.
        hand_scale_m: the unit of a network's vertices, metres.

    Raises:
        ShapeError: parts that do not belong together.
    """

    name: str
    levels: tuple[Mesh, ...]
    upsampling: tuple[csr_array, ...]
    spirals: tuple[NDArray[np.int32], ...]
    keypoint_regressor: Array
    hand_scale_m: float = HAND_SCALE_M

    def __post_init__(self) -> None:
        _check(self)

    @property
    def vertices(self) -> Array:
        """(V, 3) of the mean shape, metres."""
        return self.levels[0].vertices

    @property
    def faces(self) -> NDArray[np.int32]:
        """(F, 3) with outward normals."""
        return self.levels[0].faces

    @property
    def vertex_count(self) -> int:
        """V."""
        return len(self.vertices)

    @property
    def keypoint_count(self) -> int:
        """K."""
        return len(self.keypoint_regressor)

    @property
    def spiral_length(self) -> int:
        """Vertices in a stored spiral."""
        return self.spirals[0].shape[1]

    def spirals_of_length(self, length: int) -> tuple[NDArray[np.int32], ...]:
        """L arrays (V_l, length); other lengths than the stored one are recomputed."""
        if length == self.spiral_length:
            return self.spirals
        return tuple(spirals(mesh.vertices, mesh.faces, length) for mesh in self.levels[:-1])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything but the name as plain arrays, for a file. `from_arrays` is the way back."""
        arrays: dict[str, NDArray[Any]] = {
            "keypoint_regressor": self.keypoint_regressor,
            "hand_scale_m": np.array(self.hand_scale_m),
        }
        for number, mesh in enumerate(self.levels):
            arrays[f"vertices.{number}"] = mesh.vertices
            arrays[f"faces.{number}"] = mesh.faces
        for number, (matrix, order) in enumerate(zip(self.upsampling, self.spirals, strict=True)):
            rows, columns = matrix.nonzero()
            arrays[f"upsampling_index.{number}"] = np.stack([rows, columns], axis=1).astype(np.int32)
            arrays[f"upsampling_weight.{number}"] = np.asarray(matrix[rows, columns], dtype=np.float64)
            arrays[f"spirals.{number}"] = order
        return arrays

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Template:
        """The template that `to_arrays` took apart.

        Raises:
            KeyError: an array is missing.
            ShapeError: arrays that do not belong together.
        """
        count = sum(key.startswith("vertices.") for key in arrays)
        levels = tuple(
            Mesh(_real(arrays[f"vertices.{number}"]), np.asarray(arrays[f"faces.{number}"], dtype=np.int32))
            for number in range(count)
        )
        upsampling = tuple(
            _sparse(
                arrays[f"upsampling_index.{number}"],
                arrays[f"upsampling_weight.{number}"],
                (len(levels[number].vertices), len(levels[number + 1].vertices)),
            )
            for number in range(count - 1)
        )
        orders = tuple(np.asarray(arrays[f"spirals.{number}"], dtype=np.int32) for number in range(count - 1))
        regressor = _real(arrays["keypoint_regressor"])
        return cls(name, levels, upsampling, orders, regressor, float(arrays["hand_scale_m"]))


def build_template(
    name: str,
    vertices: Array,
    faces: NDArray[np.integer],
    keypoint_regressor: Array,
    hand_scale_m: float = HAND_SCALE_M,
    cache: bool = True,
) -> Template:
    """A template for any triangle mesh.

    Args:
        name: what to call it.
        vertices: (V, 3) metres; moved so that keypoint 0 is the origin.
        faces: (F, 3) with outward normals.
        keypoint_regressor: (K, V).
        hand_scale_m: the unit of a network's vertices, metres. Something like the mesh's own size.
        cache: whether to look for the result in the user's cache folder, and to leave it there.

    Raises:
        ShapeError: arrays that do not belong together, or a mesh too small for the hierarchy.
    """
    vertices, regressor = _real(vertices), _real(keypoint_regressor)
    triangles: NDArray[np.int32] = np.asarray(faces, dtype=np.int32)
    _check_mesh(vertices, triangles, regressor)
    vertices = vertices - regressor[0] @ vertices
    key = content_key(vertices, triangles, regressor, np.array([hand_scale_m, _HALVINGS, LENGTH]))
    kept = _kept(name, key) if cache else None
    if kept is not None:
        return kept
    levels = build_levels(Mesh(vertices, triangles), _HALVINGS)
    upsampling = tuple(upsampling_matrix(fine.vertices, coarse) for fine, coarse in pairwise(levels))
    orders = tuple(spirals(mesh.vertices, mesh.faces) for mesh in levels[:-1])
    template = Template(name, levels, upsampling, orders, regressor, hand_scale_m)
    if cache:
        remember(key, template.to_arrays())
    return template


def _kept(name: str, key: str) -> Template | None:
    """The template in the cache, where there is a whole one."""
    arrays = recall(key)
    try:
        return None if arrays is None else Template.from_arrays(name, arrays)
    except (KeyError, ValueError):  # an entry that something else has written
        return None


def _real(array: NDArray[Any]) -> Array:
    return np.asarray(array, dtype=np.float64)


def _sparse(index: NDArray[Any], weight: NDArray[Any], shape: tuple[int, int]) -> csr_array:
    if index.ndim != 2 or index.shape[1] != 2 or len(index) != len(weight):
        raise ShapeError(f"Upsampling needs entries (N, 2) and N weights, not {index.shape} and {weight.shape}.")
    _check_index("upsampling entries", index[:, 0], shape[0])
    _check_index("upsampling entries", index[:, 1], shape[1])
    return csr_array((_real(weight), (index[:, 0].astype(np.int64), index[:, 1].astype(np.int64))), shape=shape)


def _check_index(what: str, index: NDArray[Any], limit: int) -> None:
    if index.size and not (int(index.min()) >= 0 and int(index.max()) < limit):
        actual = f"{int(index.min())} to {int(index.max())}"
        raise ShapeError(f"{what.capitalize()} must be from 0 to {limit - 1}, not {actual}.")


def _check_mesh(vertices: Array, faces: NDArray[Any], regressor: Array) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ShapeError(f"A mesh has vertices (V, 3) and faces (F, 3), not {vertices.shape} and {faces.shape}.")
    if regressor.ndim != 2 or regressor.shape[1] != len(vertices) or not len(regressor):
        raise ShapeError(f"The keypoint regressor must be (K, {len(vertices)}), not {regressor.shape}.")
    if not (np.isfinite(vertices).all() and np.isfinite(regressor).all()):
        raise ShapeError("Vertices and keypoint regressor must be finite.")
    _check_index("faces", faces, len(vertices))


def _check(template: Template) -> None:
    levels = template.levels
    _check_mesh(template.vertices, template.faces, template.keypoint_regressor)
    if not (len(template.upsampling) == len(template.spirals) == len(levels) - 1 >= 1):
        raise ShapeError(
            f"{len(levels)} levels need {len(levels) - 1} (at least 1) upsampling matrices and spirals, not "
            f"{len(template.upsampling)} and {len(template.spirals)}."
        )
    for number, (fine, coarse) in enumerate(pairwise(levels)):
        expected, actual = (len(fine.vertices), len(coarse.vertices)), template.upsampling[number].shape
        if actual != expected:
            raise ShapeError(f"The upsampling matrix from level {number + 1} must be {expected}, not {actual}.")
        order = template.spirals[number]
        if order.ndim != 2 or len(order) != len(fine.vertices):
            raise ShapeError(f"Level {number} needs {len(fine.vertices)} spirals, not {order.shape}.")
        _check_index(f"spirals of level {number}", order, len(fine.vertices))
    if not (np.isfinite(template.hand_scale_m) and template.hand_scale_m > 0):
        raise ShapeError(f"The hand scale must be positive, not {template.hand_scale_m}.")
