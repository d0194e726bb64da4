"""The bundled demo: a clip rendered by this project, with its true camera and the true hands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.bundled import bundled
from handdgp_core.errors import AssetError, CameraError, SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.plain_files import read_npz
from handdgp_core.sources.video import VideoSource

DEMO_FOLDER = bundled("assets/demo")
CLIP_NAMES = ("demo.mp4", "demo.webm")
TRUTH_NAME = "truth.npz"
COUNT_SLACK = 2  # some containers only estimate their number of frames
_HINT = "Install the program again, or rebuild the demo as assets/README.md says."


@dataclass(frozen=True)
class DemoTruth:
    """What the renderer knew. One row per visible hand and frame.

    Attributes:
        camera: the camera that the clip was rendered with.
        frame_index: (R,) number of the frame in the clip, from 0.
        handedness: (R) "left" or "right".
        keypoints_m: (R, 21, 3) FreiHAND order, camera frame.
        root_m: (R, 3) the wrist, camera frame.
        vertices_m: (R, V, 3) mesh, camera frame; None where it was not stored.
        fully_visible: (R,) whether all keypoints are inside the picture; None where it was not stored.
    """

    camera: Camera
    frame_index: NDArray[np.int64]
    handedness: tuple[str, ...]
    keypoints_m: Array
    root_m: Array
    vertices_m: Array | None = None
    fully_visible: NDArray[np.bool_] | None = None

    @cached_property
    def _rows(self) -> dict[int, list[int]]:
        rows: dict[int, list[int]] = {}
        for row, frame in enumerate(self.frame_index.tolist()):
            rows.setdefault(frame, []).append(row)
        return rows

    def rows_of(self, frame_index: int) -> list[int]:
        """Rows of the hands of this frame (`Frame.index`); empty where there is none."""
        return self._rows.get(frame_index, [])


def load_truth(folder: str | Path = DEMO_FOLDER) -> DemoTruth:
    """Read and check `truth.npz`.

    Raises:
        AssetError: missing, damaged, or not of the form that `DemoTruth` states.
    """
    path = Path(folder) / TRUTH_NAME
    if not path.is_file():
        raise AssetError(f"The ground truth of the bundled demo is missing: there is no {path}.", hint=_HINT)
    try:
        return _truth(read_npz(path))
    except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, CameraError) as error:
        raise AssetError(f"The ground truth of the bundled demo in {path} is damaged: {error}.", hint=_HINT) from error


def _truth(arrays: dict[str, NDArray]) -> DemoTruth:
    width, height = (int(value) for value in arrays["size"])
    camera = Camera(
        width=width,
        height=height,
        matrix=arrays["matrix"].astype(np.float64),
        distortion=arrays["distortion"].astype(np.float64),
        name="demo (rendered)",
        source="calibrated",
    )
    rows = len(arrays["frame_index"])
    vertices = arrays.get("vertices_m")
    if vertices is not None and (vertices.ndim != 3 or vertices.shape[0] != rows or vertices.shape[2] != 3):
        raise ValueError(f"vertices_m of shape {vertices.shape} instead of ({rows}, V, 3)")
    sides = tuple(str(side) for side in arrays["handedness"])
    if len(sides) != rows or not set(sides) <= {"left", "right"}:
        raise ValueError(
            f"handedness is {sorted(set(sides))}, {len(sides)} times, instead of left or right, {rows} times"
        )
    return DemoTruth(
        camera,
        arrays["frame_index"].astype(np.int64),
        sides,
        _finite(arrays, "keypoints_m", (rows, 21, 3)),
        _finite(arrays, "root_m", (rows, 3)),
        None if vertices is None else vertices.astype(np.float64),
        _flags(arrays, "fully_visible", rows),
    )


def _flags(arrays: dict[str, NDArray], key: str, rows: int) -> NDArray[np.bool_] | None:
    values = arrays.get(key)
    if values is not None and values.shape != (rows,):
        raise ValueError(f"{key} of shape {values.shape} instead of ({rows},)")
    return None if values is None else values.astype(bool)


def _finite(arrays: dict[str, NDArray], key: str, shape: tuple[int, ...]) -> Array:
    values = arrays[key].astype(np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"{key} of shape {values.shape} instead of finite numbers of shape {shape}")
    return values


class DemoSource(VideoSource):
    """The demo clip; every frame carries the true camera. `Frame.index` is the row key of the truth.

    Args:
        folder: holds the clip and its truth.
        loop: start again after the last frame.

    Attributes:
        truth: the true hands and camera.

    Raises:
        AssetError: a part missing or damaged, or clip and truth that do not belong together.
    """

    is_rendered = True

    def __init__(self, folder: str | Path = DEMO_FOLDER, loop: bool = False) -> None:
        clip = next((path for name in CLIP_NAMES if (path := Path(folder) / name).is_file()), None)
        if clip is None:
            raise AssetError(f"The clip of the bundled demo is missing: there is none in {folder}.", hint=_HINT)
        self.truth = load_truth(folder)
        camera = self.truth.camera
        try:
            super().__init__(clip, camera, loop, "demo (rendered)")
        except SourceError as error:
            raise AssetError(f"The clip of the bundled demo is damaged. {error.problem}", hint=_HINT) from error
        count = self.frame_count or 0
        last = int(self.truth.frame_index.max(initial=-1))
        if self.size != (camera.width, camera.height) or last >= count + COUNT_SLACK:
            self.close()
            clip_has, truth_has = f"{self.size} and {count} frames", f"{(camera.width, camera.height)} and frame {last}"
            raise AssetError(
                f"The demo clip ({clip_has}) does not match its ground truth ({truth_has}).",
                hint=_HINT,
            )
