"""Results of other methods as hands: predictions.npz of `process`, or pred.json in FreiHAND's form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.drawing.overlay import project_visible
from handdgp_core.errors import SourceError
from handdgp_core.files import MIB
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.plain_files import read_json, read_npz
from handdgp_core.sources.annotations import SIDES
from handdgp_core.sources.cameras import CameraFrame
from handdgp_core.types import Hand

__all__ = ["ResultFile"]

_LARGEST = 1024 * MIB  # FreiHAND's evaluation split, 3960 meshes, takes about 100 MB
_NO_FACES = np.empty((0, 3), dtype=np.int32)
_UNKNOWN = np.full((3, 3), np.nan)


class ResultFile:
    """A file of results as a `figures.Method`. Hands are found by the image's name, else by the frame's number.

    A .npz holds `keypoints_m` (N, 21, 3), `handedness` (N,), and `frame_index` (N,) or `image` (N,); all in the OpenCV
    camera frame and metres. `keypoints_px`, `weights`, `root_m`, `vertices_m` with `faces` and `faces_left`, and
    `degenerate` are taken where they are there, as `process` writes them. A .json is [keypoints, vertices] of one right
    hand for each image of the source in order, as FreiHAND's server takes it; it has no triangles and no weights.

    Args:
        name: as shown.
        path: the file.

    Raises:
        SourceError: missing, damaged, or not of this form.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        try:
            columns = _freihand(read_json(path, _LARGEST)) if path.suffix == ".json" else dict(read_npz(path))
        except FileNotFoundError as error:
            raise SourceError(f"There is no file {path}.") from error
        except (OSError, ValueError) as error:
            raise _bad(path, str(error)) from error
        self._columns = _checked(path, columns)
        self.has_weights = "weights" in columns
        self._rows: dict[object, list[int]] = defaultdict(list)
        for row, key in enumerate(columns["image" if "image" in columns else "frame_index"].tolist()):
            self._rows[key].append(row)
        self._by_name = "image" in columns

    def hands(self, frame: CameraFrame) -> list[Hand]:
        """The hands of a frame."""
        key = frame.name if self._by_name else frame.index
        return [_hand(self._columns, row, frame.used_camera) for row in self._rows.get(key, [])]

    def crop(self, frame: CameraFrame, hand: Hand) -> NDArray[np.uint8] | None:
        """Not known."""
        return None


def _freihand(content: Any) -> dict[str, NDArray[Any]]:
    if not (isinstance(content, list) and len(content) == 2 and len(content[0]) == len(content[1])):
        raise ValueError("it is not a list of keypoints and a list of vertices of the same length")
    keypoints = np.asarray(content[0], dtype=np.float64)
    count = len(keypoints)
    return {
        "keypoints_m": keypoints,
        "vertices_m": np.asarray(content[1], dtype=np.float64),
        "handedness": np.full(count, "right"),
        "frame_index": np.arange(count),
    }


def _checked(path: Path, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    for key in ("keypoints_m", "handedness"):
        if key not in columns:
            raise _bad(path, f"it has no {key}")
    if "image" not in columns and "frame_index" not in columns:
        raise _bad(path, "it has neither frame_index nor image")
    count = len(columns["keypoints_m"])
    shapes = {"keypoints_m": (COUNT, 3), "keypoints_px": (COUNT, 2), "weights": (COUNT,), "root_m": (3,),
              "root_covariance_m2": (3, 3)}  # fmt: skip
    for key, shape in shapes.items():
        values = columns.get(key)
        if values is not None and (values.shape != (count, *shape) or values.dtype.kind not in "fiu"):
            raise _bad(path, f"{key} must be numbers of shape {(count, *shape)}, not {values.dtype} {values.shape}")
    for key in ("handedness", "frame_index", "image", "vertices_m", "degenerate", "score"):
        if key in columns and len(columns[key]) != count:
            raise _bad(path, f"{key} has {len(columns[key])} rows, but keypoints_m {count}")
    if not np.isin(columns["handedness"], SIDES).all():
        raise _bad(path, "handedness must be left or right")
    _check_mesh(path, columns)
    return columns


def _check_mesh(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    vertices = columns.get("vertices_m")
    if vertices is None:
        return
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f":
        raise _bad(path, f"vertices_m must be numbers of shape (N, V, 3), not {vertices.dtype} {vertices.shape}")
    for key in ("faces", "faces_left"):
        faces = columns.get(key)
        if faces is None:
            continue
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
            raise _bad(path, f"{key} must be whole numbers of shape (F, 3), not {faces.dtype} {faces.shape}")
        if faces.size and not 0 <= int(faces.min()) <= int(faces.max()) < vertices.shape[1]:
            raise _bad(path, f"{key} names vertices that are not there")


def _hand(columns: Mapping[str, NDArray[Any]], row: int, camera: Camera) -> Hand:
    def value(key: str, otherwise: Array) -> Array:
        return np.asarray(columns[key][row], dtype=np.float64) if key in columns else otherwise

    side = cast("Handedness", str(columns["handedness"][row]))
    keypoints_m = value("keypoints_m", np.empty(0))
    reason = str(columns["degenerate"][row]) if "degenerate" in columns else ""
    if not reason and not np.isfinite(keypoints_m).all():
        reason = "no place"
    right = columns.get("faces", _NO_FACES)
    faces = right if side == "right" else columns.get("faces_left", right[:, ::-1])
    return Hand(
        handedness=side,
        score=float(value("score", np.ones(()))),
        vertices_m=value("vertices_m", np.empty((0, 3))),
        keypoints_m=keypoints_m,
        keypoints_px=value("keypoints_px", project_visible(keypoints_m, camera)),
        weights=value("weights", np.ones(COUNT)),
        root_m=value("root_m", keypoints_m[0]),
        root_covariance_m2=value("root_covariance_m2", _UNKNOWN),
        hand_scale=1.0,
        faces=np.ascontiguousarray(faces, dtype=np.int32),
        degenerate=reason or None,
    )


def _bad(path: Path, reason: str) -> SourceError:
    return SourceError(
        f"Could not use {path}: {reason}.", hint="Give predictions.npz of process, or pred.json in FreiHAND's form."
    )
