"""A body in SMPL's layout (Loper et al. 2015) as a template: 6890 vertices and 29 keypoints, as for Human3.6M.

The keypoints are SMPL's 24 joints, the pelvis first, then nose, left eye, right eye, left ear, right ear.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed.linear_model_file import read_linear_model
from handdgp_core.hands.licensed.user_models import find_model_file
from handdgp_core.hands.topology.template import HAND_SCALE_M, Template, build_template

__all__ = ["FACE_VERTICES", "JOINT_COUNT", "VERTEX_COUNT", "body_regressor", "body_template"]

VERTEX_COUNT, JOINT_COUNT = 6890, 24
FACE_VERTICES = (331, 2802, 6262, 3489, 3990)
_NAMES = (
    "SMPL_NEUTRAL.pkl",
    "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl",
    "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl",
    "smpl/SMPL_NEUTRAL.pkl",
)
_ORIGIN = "Register at https://smpl.is.tue.mpg.de, accept its licence and download the neutral model."


def body_template(path: Path | str | None = None, hand_scale_m: float = HAND_SCALE_M, cache: bool = True) -> Template:
    """The mean neutral body: 6890 vertices, 29 keypoints.

    Args:
        path: SMPL_NEUTRAL.pkl, a folder with it, or None for the folder for model files.
        hand_scale_m: the unit of a network's vertices; the supplement of HandDGP (7.2) keeps that of hands.
        cache: as in `build_template`.

    Raises:
        AssetError: the file is missing (says where to get it and where to put it), damaged, not SMPL, or would run
            code.
    """
    what = "SMPL's neutral body"
    model = read_linear_model(find_model_file(path, _NAMES, what, _ORIGIN), what, _ORIGIN)
    if model.joint_regressor.shape != (JOINT_COUNT, VERTEX_COUNT):
        expected = f"{JOINT_COUNT} joints and {VERTEX_COUNT} vertices"
        actual = f"a joint regressor of shape {model.joint_regressor.shape}"
        raise AssetError(f"{model.file} is not {what} of {expected}: it has {actual}.", hint=_ORIGIN)
    regressor = body_regressor(model.joint_regressor)
    return build_template("body", model.vertices, model.faces, regressor, hand_scale_m, cache)


def body_regressor(joint_regressor: Array, face_vertices: tuple[int, ...] = FACE_VERTICES) -> Array:
    """(29, V) keypoints from vertices: the joints (24, V), then one vertex for each keypoint of the face."""
    joints = np.asarray(joint_regressor, dtype=np.float64)
    face = np.zeros((len(face_vertices), joints.shape[1]))
    face[np.arange(len(face_vertices)), face_vertices] = 1.0
    return np.concatenate([joints, face])
