"""Meshes from pose and shape parameters, for data sets that hold nothing else: MANO and SMPL through `smplx`."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handdgp_core.arrays import Array
from handdgp_core.datasets.sample import MeshFromParameters
from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed import body
from handdgp_core.hands.licensed.linear_model_file import read_linear_model
from handdgp_core.hands.licensed.mano import mano_layer
from handdgp_core.hands.licensed.user_models import find_model_file

__all__ = ["mano_mesh", "smpl_mesh"]


def mano_mesh(folder: Path | None = None) -> MeshFromParameters:
    """MANO's right hand, flat mean, 45 joint angles: as HO3D's parameters mean it.

    Raises:
        AssetError: the user's MANO file, or the package smplx, is missing.
    """
    with redirect_stdout(io.StringIO()):  # smplx prints how many shape coefficients a model of ten has
        layer = mano_layer(folder, use_pca=False, flat_hand_mean=True, batch_size=1)
    return _Mesh(layer, "hand_pose")


def smpl_mesh(folder: Path | None = None) -> MeshFromParameters:
    """SMPL's neutral body.

    Raises:
        AssetError: the user's SMPL file, or the package smplx, is missing.
    """
    try:
        import smplx
        from smplx.utils import Struct
    except ImportError as error:
        raise AssetError(
            "SMPL's body needs the package smplx, which is not installed.", hint="Install it: pip install smplx."
        ) from error
    title = "SMPL's neutral body"
    model = read_linear_model(find_model_file(folder, body._NAMES, title, body._ORIGIN), title, body._ORIGIN)
    with redirect_stdout(io.StringIO()):
        layer = smplx.SMPL(str(model.file), data_struct=Struct(**model.content), batch_size=1)
    return _Mesh(layer, "body_pose")


class _Mesh:
    """A layer of smplx as a plain function of arrays; the first joint's rotation comes first in the pose."""

    def __init__(self, layer: Any, pose_name: str) -> None:
        self._layer = layer.double().eval()
        self._pose_name = pose_name

    def __call__(self, pose: Array, shape: Array, translation_m: Array) -> Array:
        parts = [
            torch.from_numpy(np.asarray(part, dtype=np.float64).reshape(1, -1)) for part in (pose, shape, translation_m)
        ]
        named = {
            "global_orient": parts[0][:, :3],
            self._pose_name: parts[0][:, 3:],
            "betas": parts[1],
            "transl": parts[2],
        }
        with torch.no_grad():
            vertices: Array = self._layer(**named).vertices[0].numpy()
        return vertices
