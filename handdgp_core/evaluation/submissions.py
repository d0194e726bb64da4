"""Prediction files in the forms that the servers of FreiHAND and HO3D take.

Both are [keypoints of every sample, vertices of every sample] as JSON, metres, camera space, in the order of the
evaluation split. FreiHAND: OpenCV axes, FreiHAND's keypoint order. HO3D: OpenGL axes, HO3D's order.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.datasets.ho3d import CAMERA_FROM_OPENGL, FREIHAND_FROM_HO3D
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.files import write_bytes

__all__ = ["check_submittable", "write_freihand", "write_ho3d"]

MEMBER = "pred.json"
_MANO_VERTICES = 778
_DECIMALS = 6  # a micrometre


def check_submittable(vertex_count: int) -> None:
    """
    Raises:
        UsageError: hands of so many vertices are none that the servers take.
    """
    if vertex_count != _MANO_VERTICES:
        raise UsageError(
            f"--submission needs a model of MANO's {_MANO_VERTICES} vertices, this one has {vertex_count}.",
            hint="Train one with network.template=mano, import the published weights, or drop --submission.",
        )


def write_freihand(path: str | Path, keypoints_m: Sequence[Array], vertices_m: Sequence[Array]) -> Path:
    """FreiHAND's `pred.json`, or, where the path ends in .zip, the archive that is uploaded.

    Args:
        path: file to write.
        keypoints_m: (21, 3) of every sample, this project's conventions.
        vertices_m: (778, 3) of every sample, MANO's order.

    Returns:
        The path written.

    Raises:
        ShapeError: not one finite hand of MANO's layout for each sample.
        OutputError: the file cannot be written.
    """
    keypoints, vertices = _checked(keypoints_m, vertices_m)
    return _write(Path(path), keypoints, vertices)


def write_ho3d(path: str | Path, keypoints_m: Sequence[Array], vertices_m: Sequence[Array]) -> Path:
    """HO3D's `pred.zip`. Arguments, result and errors as in `write_freihand`; axes and joint order are converted."""
    keypoints, vertices = _checked(keypoints_m, vertices_m)
    to_opengl = CAMERA_FROM_OPENGL.T
    ordered = np.empty_like(keypoints)
    ordered[:, FREIHAND_FROM_HO3D] = keypoints
    return _write(Path(path), ordered @ to_opengl.T, vertices @ to_opengl.T)


def _checked(keypoints_m: Sequence[Array], vertices_m: Sequence[Array]) -> tuple[Array, Array]:
    count = len(keypoints_m)
    if len(vertices_m) != count:
        raise ShapeError(f"Keypoints of {count} hands do not go with vertices of {len(vertices_m)} hands.")
    shapes = {(np.shape(k), np.shape(v)) for k, v in zip(keypoints_m, vertices_m, strict=True)}
    if shapes != {((21, 3), (_MANO_VERTICES, 3))}:
        raise ShapeError(
            f"A submission needs 21 keypoints and {_MANO_VERTICES} vertices a hand, not arrays of {sorted(shapes)}.",
            hint="Use a model of MANO's mesh, and give every sample a hand.",
        )
    keypoints, vertices = (np.asarray(values, dtype=np.float64) for values in (keypoints_m, vertices_m))
    bad = ~(np.isfinite(keypoints).all((1, 2)) & np.isfinite(vertices).all((1, 2)))
    if bad.any():
        raise ShapeError(
            f"{int(bad.sum())} of {count} hands hold NaN, first number {int(np.flatnonzero(bad)[0])}.",
            hint="Put the last good root, or a mean one, in place of a degenerate sample.",
        )
    return keypoints, vertices


def _write(path: Path, keypoints: Array, vertices: Array) -> Path:
    parts = [np.round(values, _DECIMALS).tolist() for values in (keypoints, vertices)]
    content = json.dumps(parts, separators=(",", ":")).encode()
    if path.suffix == ".zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(MEMBER, content)
        content = archive.getvalue()
    write_bytes(path, content)
    return path
