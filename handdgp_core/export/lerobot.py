"""lerobot/: a data set for robot learning in the layout LeRobot v3.0, one episode. Needs the extra `robot`.

data/chunk-000/file-000.parquet                          a row a frame
videos/observation.images.camera/chunk-000/file-000.mp4  the images, unchanged but for an even size
meta/info.json, stats.json, tasks.parquet, episodes/     as LeRobot wants them
meta/handdgp.json                                        units, axes and the camera, which LeRobot has no place for

Columns, of both hands each, the left one first (names in info.json): `observation.state` (wrist's place and
quaternion x y z w in the camera frame, OpenXR's axes; the five tips; openness; pinch distance; metres),
`observation.hand_seen`, `observation.confidence`, `observation.distance_std`. What is not known is NaN, never zero;
statistics leave it out. `timestamp` is the frame's number over the frame rate, as LeRobot wants it;
`observation.captured_s` is the source's own time. There is no `action`: what a robot should do is not in the image.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.export.video import letterbox, video_size
from handdgp_core.files import MIB, output_errors, part_of, write_json
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.hand_features import joint_angles_rad, openness, pinch_distance_m
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.hands.sides import surest_by_side
from handdgp_core.types import Frame, Hand

__all__ = ["STATE_NAMES", "VIDEO", "LeRobotFolder"]

VIDEO = "observation.images.camera"
_SIDES = ("left", "right")
_OF_HAND = (
    *(f"wrist_{axis}" for axis in "xyz"),
    *(f"wrist_q{axis}" for axis in "xyzw"),
    *(f"{finger}_tip_{axis}" for finger in FINGERS for axis in "xyz"),
    "openness",
    "pinch_distance",
)
STATE_NAMES = tuple(f"{side}_{name}" for side in _SIDES for name in _OF_HAND)
_WRIST = JOINTS.index("wrist")
_TIPS = [chain[-1] for chain in FINGERS.values()]
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_FIRST = _FILE.format(chunk_index=0, file_index=0)
_TASK = "Hands before a camera."
_CRF, _GOP = "18", 2  # nearly lossless; two frames apart at most, so that single frames are found quickly
_STEP_PX = 8  # of the pixels that statistics are made from


class LeRobotFolder:
    """Exporter: a folder under a temporary name, which `close` gives its own. Without a frame there is none.

    Args:
        path: the folder that becomes the data set; one that is there is replaced.
        fps: frame rate of the source, rounded to a whole number, as LeRobot wants it.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        self.path = Path(path)
        self._part = part_of(self.path)
        self._fps = max(1, round(fps))
        self._rows: list[dict[str, Any]] = []
        self._video: _Video | None = None
        self._camera: Camera | None = None
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        if not self._rows:
            return []
        meta = [self.path / "meta" / name for name in ("info.json", "stats.json", "tasks.parquet", "handdgp.json")]
        episodes = self.path / "meta" / "episodes" / f"{_FIRST}.parquet"
        return [
            *meta,
            episodes,
            self.path / "data" / f"{_FIRST}.parquet",
            self.path / "videos" / VIDEO / f"{_FIRST}.mp4",
        ]

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        return 4 * (len(STATE_NAMES) + 32) * len(self._rows) + MIB

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """One frame: its image, and of each side the surest hand that has a place. Raises OutputError."""
        with output_errors(self.path):
            if self._video is None:
                self._camera = camera
                shutil.rmtree(self._part, ignore_errors=True)
                place = self._part / "videos" / VIDEO / f"{_FIRST}.mp4"
                place.parent.mkdir(parents=True)
                self._video = _Video(place, self._fps, frame.image)
            self._video.add(frame.image)
        self._rows.append(_row(len(self._rows), self._fps, frame, hands))

    def close(self) -> None:
        """Completes the folder. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        if self._video is None:
            return
        with output_errors(self.path):
            self._video.close()
            self._write(self._video)
            if self.path.exists():
                shutil.rmtree(self.path)
            self._part.rename(self.path)

    def _write(self, video: _Video) -> None:
        features = _features(video, self._fps)
        columns = {name: [row[name] for row in self._rows] for name in self._rows[0]}
        stats = {name: _stats(np.array(values)) for name, values in columns.items()} | {VIDEO: video.stats()}
        table = pa.table({name: pa.array(values, _arrow_type(features[name])) for name, values in columns.items()})
        _write_table(table, self._part / "data" / f"{_FIRST}.parquet")
        _write_table(self._episodes(stats), self._part / "meta" / "episodes" / f"{_FIRST}.parquet")
        _write_table(_tasks(), self._part / "meta" / "tasks.parquet")
        write_json(self._part / "meta" / "stats.json", stats)
        write_json(self._part / "meta" / "info.json", self._info(features))
        write_json(self._part / "meta" / "handdgp.json", self._about(video))

    def _info(self, features: dict[str, Any]) -> dict[str, Any]:
        return {
            "codebase_version": "v3.0", "robot_type": "human_hand", "total_episodes": 1,
            "total_frames": len(self._rows), "total_tasks": 1, "chunks_size": 1000, "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 500, "fps": self._fps, "splits": {"train": "0:1"},
            "data_path": f"data/{_FILE}.parquet", "video_path": f"videos/{{video_key}}/{_FILE}.mp4",
            "features": features,
        }  # fmt: skip

    def _episodes(self, stats: dict[str, dict[str, Any]]) -> pa.Table:
        count = len(self._rows)
        row: dict[str, Any] = {
            "episode_index": 0, "tasks": [_TASK], "length": count, "data/chunk_index": 0, "data/file_index": 0,
            "dataset_from_index": 0, "dataset_to_index": count, f"videos/{VIDEO}/chunk_index": 0,
            f"videos/{VIDEO}/file_index": 0, f"videos/{VIDEO}/from_timestamp": 0.0,
            f"videos/{VIDEO}/to_timestamp": count / self._fps, "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }  # fmt: skip
        row |= {f"stats/{name}/{kind}": value for name, kinds in stats.items() for kind, value in kinds.items()}
        return pa.table({name: [value] for name, value in row.items()})

    def _about(self, video: _Video) -> dict[str, Any]:
        assert self._camera is not None
        camera = self._camera
        return {
            "note": "Hands predicted with HandDGP Live: not measured, not corrected by hand.",
            "units": "metres, seconds", "frame": "camera: x right, y down, z forward",
            "joint_axes": "XR_EXT_hand_tracking", "not_known": "NaN",
            "camera": {"width": camera.width, "height": camera.height, "matrix": camera.matrix.tolist(),
                       "distortion": camera.distortion.tolist(), "lens": camera.lens,
                       "is_assumed": camera.source == "assumed"},
            "video_size": list(video.size),
        }  # fmt: skip


class _Video:
    """The images as H.264, and statistics of their colours from 0 to 1."""

    def __init__(self, path: Path, fps: int, first: NDArray[np.uint8]) -> None:
        self.size = video_size(first.shape[1], first.shape[0])
        self.codec = "h264"
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=fps, options={"crf": _CRF, "preset": "veryfast"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = *self.size, "yuv420p"
        self._stream.gop_size = _GOP
        self._stream.time_base = Fraction(1, fps)
        self._count = 0
        self._sums = np.zeros((2, 3))
        self._bounds = np.array([np.ones(3), np.zeros(3)])

    def add(self, image: NDArray[np.uint8]) -> None:
        shown = letterbox(image, *self.size)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
        frame.pts = self._count
        self._container.mux(self._stream.encode(frame))
        sample = shown[::_STEP_PX, ::_STEP_PX].reshape(-1, 3) / 255.0
        self._sums += [sample.mean(axis=0), (sample**2).mean(axis=0)]
        self._bounds[0] = np.minimum(self._bounds[0], sample.min(axis=0))
        self._bounds[1] = np.maximum(self._bounds[1], sample.max(axis=0))
        self._count += 1

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def stats(self) -> dict[str, Any]:
        mean, square = self._sums / self._count
        values = {"min": self._bounds[0], "max": self._bounds[1], "mean": mean,
                  "std": np.sqrt(np.maximum(square - mean**2, 0.0))}  # fmt: skip
        return {**{name: value.reshape(3, 1, 1).tolist() for name, value in values.items()}, "count": [self._count]}


def _row(number: int, fps: int, frame: Frame, hands: Sequence[Hand]) -> dict[str, Any]:
    placed = surest_by_side(hands, lambda hand: hand)
    sides = [placed.get("left"), placed.get("right")]
    known = [np.nan if hand is None else float(distance_std_m(hand)) for hand in sides]
    return {
        "observation.state": np.concatenate([_state(hand) for hand in sides]).astype(np.float32),
        "observation.hand_seen": [hand is not None for hand in sides],
        "observation.confidence": np.array([np.nan if hand is None else hand.score for hand in sides], np.float32),
        "observation.distance_std": np.array(known, np.float32),
        "observation.captured_s": frame.stamp_ns / 1e9,
        "timestamp": np.float32(number / fps),
        "frame_index": number,
        "episode_index": 0,
        "index": number,
        "task_index": 0,
    }


def _state(hand: Hand | None) -> Array:
    """Numbers in the order of `_OF_HAND`, in the camera frame."""
    joints = None if hand is None else joint_frames(hand)
    if hand is None or joints is None or not joints.is_valid.all():
        return np.full(len(_OF_HAND), np.nan)
    quaternion = Rotation.from_matrix(joints.rotations[_WRIST]).as_quat(canonical=True)
    angles = joint_angles_rad(joints.rotations, hand.handedness)
    features = [openness(angles), pinch_distance_m(hand.keypoints_m)]
    return np.concatenate([joints.positions_m[_WRIST], quaternion, hand.keypoints_m[_TIPS].ravel(), features])


def _features(video: _Video, fps: int) -> dict[str, Any]:
    width, height = video.size
    of_video = {
        "video.fps": fps, "video.height": height, "video.width": width, "video.channels": 3,
        "video.codec": video.codec, "video.pix_fmt": "yuv420p", "video.is_depth_map": False, "has_audio": False,
    }  # fmt: skip
    columns = {
        "observation.state": ("float32", len(STATE_NAMES), list(STATE_NAMES)),
        "observation.hand_seen": ("bool", 2, list(_SIDES)),
        "observation.confidence": ("float32", 2, list(_SIDES)),
        "observation.distance_std": ("float32", 2, list(_SIDES)),
        "observation.captured_s": ("float64", 1, None),
        "timestamp": ("float32", 1, None),
        **{name: ("int64", 1, None) for name in ("frame_index", "episode_index", "index", "task_index")},
    }
    names = ["height", "width", "channels"]
    image = {"dtype": "video", "shape": [height, width, 3], "names": names, "info": of_video}
    return {VIDEO: image} | {
        name: {"dtype": kind, "shape": [size], "names": labels} for name, (kind, size, labels) in columns.items()
    }


def _arrow_type(feature: dict[str, Any]) -> pa.DataType:
    kind = {"bool": pa.bool_(), "float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64()}[feature["dtype"]]
    (size,) = feature["shape"]
    return kind if size == 1 else pa.list_(kind, size)


def _stats(values: Array) -> dict[str, Any]:
    """Of what is known; of a column where nothing is, mean 0 and standard deviation 1, which change nothing."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    known = np.isfinite(rows)
    some = known.any(axis=0)
    filled = np.where(known, rows, 0.0)
    mean = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    spread = np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return {
        "min": np.where(some, np.where(known, rows, np.inf).min(axis=0), 0.0).tolist(),
        "max": np.where(some, np.where(known, rows, -np.inf).max(axis=0), 0.0).tolist(),
        "mean": mean.tolist(),
        "std": np.where(some, np.sqrt(spread), 1.0).tolist(),
        "count": [len(rows)],
    }


def _tasks() -> pa.Table:
    """As pandas would have written it with the task as its index, which is how LeRobot looks one up."""
    column = {"metadata": None}
    pandas = {
        "index_columns": ["task"], "column_indexes": [], "creator": {"library": "pyarrow", "version": pa.__version__},
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", **column},
            {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", **column},
        ],
    }  # fmt: skip
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [_TASK]})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _write_table(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
