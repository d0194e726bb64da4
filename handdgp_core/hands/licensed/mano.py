"""MANO (Romero et al. 2017) from the user's own licensed file: as a template, and as a posable model.

Only facts about the file's layout are here, nothing of its content. Tests use files in the same layout made from other
meshes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handdgp_core.arrays import Array, Handedness
from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed.linear_model_file import LinearModelFile, read_linear_model
from handdgp_core.hands.licensed.restricted_pickle import unreadable
from handdgp_core.hands.licensed.user_models import find_model_file
from handdgp_core.hands.topology.template import Template, build_template

__all__ = ["JOINT_OF_KEYPOINT", "mano_layer", "mano_regressor", "mano_template", "read_mano"]

VERTEX_COUNT, JOINT_COUNT = 778, 16
_ORIGIN = (
    "Register at https://mano.is.tue.mpg.de, accept its licence and download mano_v1_2.zip, which holds "
    "models/MANO_RIGHT.pkl."
)
# FreiHAND's keypoint -> MANO's joint (wrist; index, middle, little, ring, thumb, three each)...
JOINT_OF_KEYPOINT = {0: 0, 1: 13, 2: 14, 3: 15, 5: 1, 6: 2, 7: 3, 9: 4, 10: 5, 11: 6, 13: 10, 14: 11, 15: 12}
JOINT_OF_KEYPOINT |= {17: 7, 18: 8, 19: 9}
# ... and FreiHAND's finger tips -> vertices of the mesh.
TIP_VERTICES = {4: 744, 8: 320, 12: 443, 16: 555, 20: 672}


def read_mano(path: Path | str | None = None, handedness: Handedness = "right") -> LinearModelFile:
    """MANO's arrays.

    Args:
        path: MANO_RIGHT.pkl (or MANO_LEFT.pkl), a folder with it, or None for the folder for model files.
        handedness: which of the two, where a folder is searched.

    Raises:
        AssetError: the file is missing (says where to get it and where to put it), damaged, not MANO, or would run
            code.
    """
    name = f"MANO_{handedness.upper()}.pkl"
    what = f"MANO's {handedness} hand"
    file = find_model_file(path, (name, f"mano/{name}", f"models/{name}"), what, _ORIGIN)
    model = read_linear_model(file, what, _ORIGIN)
    if model.joint_regressor.shape != (JOINT_COUNT, len(model.vertices)):
        reason = f"it has a joint regressor of shape {model.joint_regressor.shape} instead of {JOINT_COUNT} joints"
        raise unreadable(file, what, reason, _ORIGIN)
    if len(model.vertices) <= max(TIP_VERTICES.values()):
        raise unreadable(file, what, f"it has {len(model.vertices)} instead of {VERTEX_COUNT} vertices", _ORIGIN)
    return model


def mano_regressor(joint_regressor: Array, tips: dict[int, int] | None = None) -> Array:
    """(21, V) FreiHAND keypoints from vertices, out of MANO's (16, V); `tips` are keypoint -> vertex."""
    joints = np.asarray(joint_regressor, dtype=np.float64)
    regressor = np.zeros((len(JOINT_OF_KEYPOINT) + len(TIP_VERTICES), joints.shape[1]))
    for keypoint, joint in JOINT_OF_KEYPOINT.items():
        regressor[keypoint] = joints[joint]
    for keypoint, vertex in (tips or TIP_VERTICES).items():
        regressor[keypoint, vertex] = 1.0
    return regressor


def mano_template(path: Path | str | None = None, cache: bool = True) -> Template:
    """MANO's mean right hand: 778 vertices, FreiHAND's 21 keypoints.

    Raises:
        AssetError: as in `read_mano`.
    """
    model = read_mano(path)
    return build_template("mano", model.vertices, model.faces, mano_regressor(model.joint_regressor), cache=cache)


def mano_layer(path: Path | str | None = None, handedness: Handedness = "right", **options: Any) -> Any:
    """MANO as `smplx.MANO` (a torch module that poses it), from the same restricted reader.

    Args:
        path, handedness: as in `read_mano`.
        options: of `smplx.MANO`, such as use_pca=False, flat_hand_mean=True.

    Raises:
        AssetError: as in `read_mano`, or the package smplx is missing.
    """
    try:
        import smplx
        from smplx.utils import Struct
    except ImportError as error:
        raise AssetError("The package smplx is not installed.", hint="pip install smplx") from error
    model = read_mano(path, handedness)
    # The path is only read where no data is given, but it must name a file.
    content = Struct(**model.content)
    return smplx.MANO(str(model.file), is_rhand=handedness == "right", data_struct=content, **options)
