"""Reading assets/hands/open_hand.npz: every array is checked at the door, so that damage is named and not met later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handdgp_core.errors import AssetError
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.plain_files import read_npz

_MOST_BYTES = 256 << 20
_REBUILD = "Restore the file, or rebuild it with: python -m tools.assets.build_open_hand"


def read_open_hand(file: Path) -> dict[str, Any]:
    """The arrays of the asset by name; real numbers as float64, names as tuples.

    Raises:
        AssetError: the file is missing, damaged, of another layout, or holds numbers that are not finite.
    """
    return _checked(_read(file), file)


def _read(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise AssetError(f"The open hand model is missing: there is no file {file}.", hint=_REBUILD)
    try:
        return read_npz(file, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise AssetError(f"The open hand model {file} cannot be read ({error}).", hint=_REBUILD) from error


# Shapes by named dimension; a name stands for the same number everywhere.
_LAYOUT: dict[str, tuple[str | int, ...]] = {
    "vertices": ("V", 3),
    "faces": ("F", 3),
    "keypoint_regressor": (COUNT, "V"),
    "skinning_weights": ("V", "B"),
    "bone_names": ("B",),
    "bone_parents": ("B",),
    "bone_heads": ("B", 3),
    "bone_tails": ("B", 3),
    "bone_frames": ("B", 3, 3),
    "shape_basis": ("S", "V", 3),
    "bone_head_basis": ("S", "B", 3),
    "dof_names": ("D",),
    "dof_bone": ("D",),
    "dof_axis": ("D", 3),
    "dof_limits_rad": ("D", 2),
    "dof_rest_rad": ("D",),
    "dof_mean_rad": ("D",),
    "dof_sd_rad": ("D",),
    "scale_sd": (),
    "hand_length_mean_m": (),
    "uv_coordinates": ("T", 2),
    "uv_faces": ("F", 3),
    "vertex_finger": ("V",),
    "face_is_nail": ("F",),
    "anny_vertex_index": ("V",),
    "makehuman_vertex_index": ("V",),
    "provenance": (),
}
_WHOLE = frozenset({"faces", "uv_faces", "bone_parents", "dof_bone", "vertex_finger"})
_TEXT = frozenset({"bone_names", "dof_names", "provenance"})


def _checked(arrays: dict[str, np.ndarray], file: Path) -> dict[str, Any]:
    sizes: dict[str, int] = {}
    for key, layout in _LAYOUT.items():
        if key not in arrays:
            raise _damaged(file, f"it has no {key}")
        actual = arrays[key].shape
        expected = tuple(sizes.get(n, n) if isinstance(n, str) else n for n in layout)
        if len(actual) != len(layout) or any(
            isinstance(e, int) and e != a for e, a in zip(expected, actual, strict=True)
        ):
            raise _damaged(file, f"{key} must be of shape {expected}, not {actual}")
        sizes.update({n: a for n, a in zip(layout, actual, strict=True) if isinstance(n, str)})
        if 0 in actual:
            raise _damaged(file, f"{key} is empty")
        _check_values(key, arrays[key], file)
    _check_indices(arrays, sizes, file)
    return {key: _converted(arrays[key]) for key in _LAYOUT}


def _damaged(file: Path, reason: str) -> AssetError:
    return AssetError(f"The open hand model {file} is damaged: {reason}.", hint=_REBUILD)


def _check_values(key: str, values: np.ndarray, file: Path) -> None:
    if (values.dtype.kind == "U") != (key in _TEXT):
        raise _damaged(file, f"{key} must be {'text' if key in _TEXT else 'numbers'}, not {values.dtype}")
    if key in _WHOLE and values.dtype.kind not in "iu":
        raise _damaged(file, f"{key} must be whole numbers, not {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise _damaged(file, f"{key} must be finite numbers")


def _check_indices(arrays: dict[str, np.ndarray], sizes: dict[str, int], file: Path) -> None:
    """Indices that point outside their table would only fail much later, and obscurely."""
    for key, limit in (("faces", "V"), ("uv_faces", "T"), ("dof_bone", "B")):
        if arrays[key].min() < 0 or arrays[key].max() >= sizes[limit]:
            raise _damaged(file, f"{key} must be between 0 and {sizes[limit] - 1}")
    parents = arrays["bone_parents"]
    if parents[0] != -1 or (parents[1:] < 0).any() or (parents >= np.arange(len(parents))).any():
        raise _damaged(file, "its bones must have parents before children")


def _converted(array: np.ndarray) -> Any:
    """float32 on disk becomes float64; names become tuples, single numbers Python's own."""
    if array.dtype.kind == "U":
        return tuple(array.tolist()) if array.ndim else str(array)
    if array.dtype.kind == "f":
        return array.astype(np.float64) if array.ndim else float(array)
    return array
