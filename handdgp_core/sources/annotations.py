"""`annotations.npz` beside a folder of images: the camera of every image, and the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import SourceError
from handdgp_core.plain_files import read_npz

FILE_NAME = "annotations.npz"
SIDES = ("left", "right")


@dataclass(frozen=True)
class Annotations:
    """One row per annotated hand; an image may have several rows.

    Attributes:
        path: the file read.
        image: (N) file names.
        intrinsics: (N, 3, 3) camera matrices in pixels of the image as stored.
        keypoints_m: (N, 21, 3) FreiHAND order, camera frame, metres, NaN where unknown; None where not given.
        handedness: (N) "left" or "right", the user's true hand; None where not given.
    """

    path: Path
    image: tuple[str, ...]
    intrinsics: Array
    keypoints_m: Array | None = None
    handedness: tuple[str, ...] | None = None

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """Rows of every image name, in the order of the file."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.image):
            rows.setdefault(name, []).append(row)
        return rows

    def intrinsics_of(self, name: str) -> Array | None:
        """(3, 3) matrix of this image, None where it is not annotated."""
        rows = self.rows.get(name)
        return None if rows is None else self.intrinsics[rows[0]]


def load_annotations(folder: str | Path) -> Annotations:
    """Read and check the annotations of a folder (or the file itself).

    Args:
        folder: holds `annotations.npz` with `image` (N,), `intrinsics` (N, 3, 3) and optionally `keypoints_m`
            (N, 21, 3) and `handedness` (N,).

    Raises:
        SourceError: missing, damaged, or not of this form.
    """
    path = Path(folder)
    path = path if path.suffix == ".npz" else path / FILE_NAME
    arrays = _read(path)
    for key in ("image", "intrinsics"):
        if key not in arrays:
            raise _bad(path, f"it has no '{key}', only {', '.join(sorted(arrays)) or 'nothing'}")
    names = _strings(path, "image", arrays["image"])
    count = len(names)
    keypoints, sides = arrays.get("keypoints_m"), arrays.get("handedness")
    return Annotations(
        path,
        tuple(name.replace("\\", "/").removeprefix("./").removeprefix("images/") for name in names),
        _intrinsics(path, arrays["intrinsics"], names),
        None if keypoints is None else _numbers(path, "keypoints_m", keypoints, (count, 21, 3)),
        None if sides is None else _sides(path, sides, count),
    )


def _bad(path: Path, reason: str) -> SourceError:
    hint = "Create the file again, or remove it to use the images alone."
    return SourceError(f"Could not use {path}: {reason}.", hint=hint)


def _read(path: Path) -> dict[str, NDArray]:
    if not path.is_file():
        raise SourceError(f"There is no file {path}.", hint="Give a folder whose images are annotated.")
    try:
        return read_npz(path)
    except (OSError, ValueError) as error:
        raise _bad(path, f"the file is damaged ({error})") from error


def _strings(path: Path, key: str, values: NDArray) -> tuple[str, ...]:
    if values.ndim != 1 or values.dtype.kind not in "US":
        raise _bad(path, f"'{key}' must be a list of text, not {values.dtype} of shape {values.shape}")
    return tuple(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values)


def _numbers(path: Path, key: str, values: NDArray, shape: tuple[int, ...]) -> Array:
    if values.shape != shape or values.dtype.kind not in "fiu":
        actual = f"{values.dtype} of shape {values.shape}"
        raise _bad(path, f"'{key}' must be numbers of shape {shape}, not {actual}")
    return values.astype(np.float64)


def _intrinsics(path: Path, values: NDArray, names: tuple[str, ...]) -> Array:
    matrices = _numbers(path, "intrinsics", values, (len(names), 3, 3))
    focal = matrices[:, [0, 1], [0, 1]]
    off = matrices[:, [0, 1, 2, 2, 2], [1, 0, 0, 1, 2]] - (0, 0, 0, 0, 1)  # skew and what never varies
    good = np.isfinite(matrices).all((1, 2)) & (focal > 0).all(1) & (np.abs(off) < 1e-9).all(1)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        actual = f"that of {names[row]} is {matrices[row].round(3).tolist()}"
        expected = "finite [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths"
        raise _bad(path, f"camera matrices must be {expected}, but {actual}")
    return matrices


def _sides(path: Path, values: NDArray, count: int) -> tuple[str, ...]:
    sides = _strings(path, "handedness", values)
    wrong = sorted(set(sides) - set(SIDES))
    if len(sides) != count or wrong:
        raise _bad(path, f"'handedness' must be {count} times left or right, not {len(sides)} values {wrong}")
    return sides
