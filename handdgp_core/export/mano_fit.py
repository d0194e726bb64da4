"""MANO's parameters of a hand, found from its keypoints, with the user's own licensed file.

The model is MANO's (Romero et al. 2017), in NumPy: shape and pose move the mesh at rest, linear blend skinning poses
it. Parameters are those that data sets with MANO labels hold: 48 angles as rotation vectors (the wrist first, then 15
joints in MANO's order, against a flat hand), 10 shape coefficients, a shift in metres that is added at the end.

Keypoints alone do not tell a bone's turn about its own length, nor all of the shape: weak priors, a rotation vector of
`POSE_SD_RAD` and shape coefficients of `SHAPE_SD`, decide there alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError
from handdgp_core.geometry.alignment import align_rigid, matrix_from_rotation_vector, rotation_vector_from_matrix
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST
from handdgp_core.hands.licensed.linear_model_file import LinearModelFile
from handdgp_core.hands.licensed.mano import JOINT_COUNT, JOINT_OF_KEYPOINT, TIP_VERTICES, read_mano
from handdgp_core.hands.licensed.restricted_pickle import numbers
from handdgp_core.hands.skinning import posed_heads, skin

__all__ = ["ManoModel", "ManoParameters", "fit_mano"]

SHAPE_COUNT = 10
POSE_SD_RAD, SHAPE_SD = 1.0, 3.0
_KEYPOINT_SD_M = 1e-3
_STEP = 1e-6  # of the numeric derivative
_PALM = [WRIST, *(chain[0] for finger, chain in FINGERS.items() if finger != "thumb")]
_ANGLES = 3 * JOINT_COUNT


@dataclass(frozen=True, eq=False)
class ManoParameters:
    """Of one hand.

    Attributes:
        pose_rad: (48,) rotation vectors, the wrist's first.
        shape: (10,).
        translation_m: (3,).
        error_m: root mean square distance of the model's keypoints to those of the hand.
    """

    pose_rad: Array
    shape: Array
    translation_m: Array
    error_m: float


class ManoModel:
    """MANO's right hand from the user's file, posed in NumPy over leading batch dimensions.

    Args:
        path: as in `read_mano`.

    Raises:
        AssetError: there is no file, or it is not MANO's.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        file = read_mano(path)
        self.file, self.faces = file.file, file.faces
        self._rest, self._regressor = file.vertices, file.joint_regressor
        count = len(file.vertices)
        self._shapes = _array(file, "shapedirs", (count, 3, SHAPE_COUNT))
        self._pose_shapes = _array(file, "posedirs", (count, 3, 9 * (JOINT_COUNT - 1)))
        self._weights = _array(file, "weights", (count, JOINT_COUNT))
        parents = numbers(file.content["kintree_table"])[0].astype(np.int64)
        self._parents = [-1, *parents[1:].tolist()]
        self._joints = file.joint_regressor @ file.vertices
        self._joint_shapes = np.einsum("jv,vas->jas", file.joint_regressor, self._shapes)

    def keypoints(self, pose_rad: Array, shape: Array, translation_m: Array) -> Array:
        """(..., 21, 3) in FreiHAND's order, of (..., 48), (..., 10), (..., 3)."""
        tips = list(TIP_VERTICES.values())
        joints, vertices = self._posed(pose_rad, shape, translation_m, tips)
        found = np.empty((*joints.shape[:-2], COUNT, 3))
        found[..., list(JOINT_OF_KEYPOINT), :] = joints[..., list(JOINT_OF_KEYPOINT.values()), :]
        found[..., list(TIP_VERTICES), :] = vertices
        return found

    def vertices(self, pose_rad: Array, shape: Array, translation_m: Array) -> Array:
        """(..., 778, 3)."""
        return self._posed(pose_rad, shape, translation_m, slice(None))[1]

    def _posed(
        self, pose_rad: Array, shape: Array, translation_m: Array, chosen: list[int] | slice
    ) -> tuple[Array, Array]:
        """Joints (..., 16, 3), and the chosen of the vertices."""
        turns = np.array(pose_rad, dtype=np.float64)  # a copy: SciPy takes no array that is read-only
        local = matrix_from_rotation_vector(turns.reshape(*pose_rad.shape[:-1], JOINT_COUNT, 3))
        heads = self._joints + np.einsum("jas,...s->...ja", self._joint_shapes, shape)
        bends = (local[..., 1:, :, :] - np.eye(3)).reshape(*local.shape[:-3], -1)
        rest = self._rest[chosen] + np.einsum("vas,...s->...va", self._shapes[chosen], shape)
        rest = rest + np.einsum("vap,...p->...va", self._pose_shapes[chosen], bends)
        rotations = np.empty_like(local)
        for joint, parent in enumerate(self._parents):
            above = rotations[..., parent, :, :] if parent >= 0 else np.eye(3)
            rotations[..., joint, :, :] = above @ local[..., joint, :, :]
        posed = posed_heads(heads, self._parents, rotations)
        vertices = skin(rest, self._weights[chosen], heads, posed, rotations)
        shift = translation_m[..., None, :]
        return posed + shift, vertices + shift


def fit_mano(
    model: ManoModel, keypoints_m: Array, vertices_m: Array | None = None, start: ManoParameters | None = None
) -> ManoParameters:
    """The parameters whose keypoints, or vertices, are nearest to a right hand's, with the priors above.

    Args:
        model: from the user's file.
        keypoints_m: (21, 3) finite, any right-handed frame, which the parameters are in then.
        vertices_m: (778, 3) of a hand whose mesh is MANO's, in the same frame: then they decide, and tell all.
        start: a guess, such as the frame before; None starts from a flat hand.

    Raises:
        ShapeError: keypoints of another shape, or not finite.
    """
    wanted = np.asarray(keypoints_m, dtype=np.float64)
    if wanted.shape != (COUNT, 3) or not np.isfinite(wanted).all():
        raise ShapeError(f"A fit of MANO needs {COUNT} finite keypoints, not an array of shape {wanted.shape}.")
    prior = np.concatenate([np.zeros(3), np.full(_ANGLES - 3, 1 / POSE_SD_RAD), np.full(SHAPE_COUNT, 1 / SHAPE_SD)])
    prior = np.concatenate([prior, np.zeros(3)])

    def residuals(values: Array) -> Array:
        made = model.keypoints if vertices_m is None else model.vertices
        errors = (made(*_split(values)) - (wanted if vertices_m is None else vertices_m)) / _KEYPOINT_SD_M
        return np.concatenate([errors.reshape(*values.shape[:-1], -1), values * prior], axis=-1)

    def jacobian(values: Array) -> Array:
        moved = np.stack([values + step for step in _STEP * np.eye(len(values))])
        return np.asarray((residuals(moved) - residuals(values)).T / _STEP)

    first = _flat_guess(model, wanted) if start is None else _joined(start)
    solved = least_squares(residuals, first, jac=jacobian, method="trf", x_scale="jac", max_nfev=100)
    pose, shape, translation = _split(solved.x)
    error = model.keypoints(pose, shape, translation) - wanted
    return ManoParameters(pose, shape, translation, float(np.sqrt((error**2).sum(axis=-1).mean())))


def _array(file: LinearModelFile, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = numbers(file.content.get(name, np.zeros(0)))
    if values.shape != shape:
        raise ShapeError(f"{file.file} holds {name} of shape {values.shape}, where MANO has {shape}.")
    return values


def _split(values: Array) -> tuple[Array, Array, Array]:
    return values[..., :_ANGLES], values[..., _ANGLES:-3], values[..., -3:]


def _joined(parameters: ManoParameters) -> Array:
    return np.concatenate([parameters.pose_rad, parameters.shape, parameters.translation_m])


def _flat_guess(model: ManoModel, wanted: Array) -> Array:
    """A flat mean hand whose palm lies on the hand's."""
    values = np.zeros(_ANGLES + SHAPE_COUNT + 3)
    flat = model.keypoints(*_split(values))
    found = align_rigid(flat[_PALM], wanted[_PALM])
    values[:3] = rotation_vector_from_matrix(found.rotation)
    values[-3:] = wanted[WRIST] - flat[WRIST]  # MANO turns about its wrist
    return values
