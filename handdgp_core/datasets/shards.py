"""Synthetic shards: labelled pictures in a few large files that are read front to back. Form: docs/data.md.

A folder holds `shards.json` (what all shards share) and pairs of files: `shard-00000.jpgs`, the JPEG pictures end to
end, and `shard-00000.npy`, one row of numbers per picture, which tells where its picture lies. A pair counts once its
.npy file is there, which is written last; so a writer that was stopped goes on with the first shard that is missing.

Both files are mapped, never read whole: processes share one copy, and reading in order is as fast as the disk.
"""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.datasets.files import DatasetError, DatasetFolder, checked_index
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.errors import ShapeError
from handdgp_core.files import output_errors, whole_file, write_text
from handdgp_core.plain_files import map_npy, read_json

__all__ = ["ShardInfo", "ShardWriter", "Shards"]

INDEX = "shards.json"
VERSION = 2
_UNKNOWN = 255
_NAME = re.compile(r"shard-(\d{5})\.npy")
_OPEN_SHARDS = 64
_MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class ShardInfo:
    """What all shards of a folder share.

    Attributes:
        vertices: V, number of mesh vertices, 0 for none.
        keypoints: K, number of keypoints.
        mesh: name of the hand model whose vertices these are.
        origin: how the pictures were made: command, version, seed.
    """

    vertices: int
    keypoints: int = 21
    mesh: str = "open"
    origin: str = ""

    @property
    def row(self) -> np.dtype[Any]:
        """Type of a row. Vertices are relative to the first keypoint, as half floats: within 0.1 mm on a hand."""
        return np.dtype(
            [
                ("offset", "<u8"),
                ("length", "<u4"),
                ("left", "u1"),
                ("skin_tone", "u1"),
                ("occlusion", "u1", (self.keypoints,)),
                ("matrix", "<f4", (3, 3)),
                ("keypoints_m", "<f4", (self.keypoints, 3)),
                ("relative_vertices_m", "<f2", (self.vertices, 3)),
            ]
        )


class ShardWriter:
    """Writes shards one by one. Several processes may write different shards of one folder.

    Args:
        folder: made where due. One that holds shards of the same form is continued.
        info: what the shards share.
        quality: of the JPEG pictures, 1 to 100.

    Raises:
        DatasetError: the folder holds shards of another form.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: str | Path, info: ShardInfo, quality: int = 92) -> None:
        self.folder = Path(folder)
        self.info = info
        self._quality = quality
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / INDEX).exists():
            content = {"format": "handdgp-shards", "version": VERSION, **asdict(info)}
            write_text(self.folder / INDEX, json.dumps(content, indent=2))
        found = read_info(self.folder)
        if found.row != info.row or found.mesh != info.mesh:
            raise DatasetError(
                f"Could not write shards of {info} to {self.folder}, which holds shards of {found}.",
                hint="Write into an empty folder.",
            )

    @property
    def finished(self) -> set[int]:
        """Numbers of the shards that are whole; all others are still to be written."""
        return set(_numbers(self.folder))

    def write(self, number: int, samples: Iterable[LabelledHand]) -> Path:
        """One shard from its samples; it appears whole or not at all.

        Returns:
            Path of its .npy file.

        Raises:
            ShapeError: a sample without known keypoints, or with another number of vertices or keypoints.
            OutputError: the disk is full or cannot be written.
        """
        pictures = self.folder / f"shard-{number:05d}.jpgs"
        rows: list[NDArray[Any]] = []
        with whole_file(pictures) as part, part.open("wb") as file:
            for sample in samples:
                content = _jpeg(sample.image, self._quality)
                rows.append(self._row(sample, file.tell(), len(content)))
                file.write(content)
        return _write_rows(pictures.with_suffix(".npy"), np.array(rows, dtype=self.info.row))

    def _row(self, sample: LabelledHand, offset: int, length: int) -> NDArray[Any]:
        info = self.info
        count = 0 if sample.vertices_m is None else len(sample.vertices_m)
        keypoints = np.asarray(sample.keypoints_m)
        if count != info.vertices or keypoints.shape != (info.keypoints, 3) or not np.isfinite(keypoints).all():
            raise ShapeError(
                f"{sample.name!r} has {count} vertices and keypoints of shape {keypoints.shape}; these shards hold "
                f"{info.vertices} vertices and {info.keypoints} known keypoints."
            )
        row = np.zeros((), dtype=info.row)
        row["offset"], row["length"], row["left"] = offset, length, sample.handedness == "left"
        row["skin_tone"] = sample.skin_tone
        row["occlusion"] = _UNKNOWN if sample.occlusion is None else sample.occlusion
        row["matrix"], row["keypoints_m"] = sample.matrix, keypoints
        if sample.vertices_m is not None:
            row["relative_vertices_m"] = sample.vertices_m - keypoints[0]
        return row


class _Open(NamedTuple):
    rows: NDArray[Any]
    pictures: NDArray[np.uint8]


class Shards:
    """All shards of a folder as one data set, in their order.

    Args:
        root: the folder.

    Attributes:
        info: what the shards share.
        lengths: number of samples of every shard; `sampling.BlockShuffle` reads them block by block.

    Raises:
        DatasetError: no shards there, a shard is missing between others, or a file is cut short.
    """

    def __init__(self, root: str | Path) -> None:
        self._folder = DatasetFolder(root, "synthetic shards", "`python main.py synth`", (INDEX,))
        self.info = read_info(self._folder.root)
        numbers = _numbers(self._folder.root)
        if not numbers:
            raise self._folder.incomplete("shard-00000.npy", "it is missing")
        if numbers != list(range(len(numbers))):
            missing = min(set(range(len(numbers))) - set(numbers))
            raise self._folder.incomplete(f"shard-{missing:05d}.npy", "it is missing")
        self.lengths = [self._checked_length(number) for number in numbers]
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self._opened: OrderedDict[int, _Open] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> LabelledHand:
        index = checked_index(index, len(self))
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        shard = self._shard(number)
        row = shard.rows[index - self._starts[number]]
        start = int(row["offset"])
        image = cv2.imdecode(shard.pictures[start : start + int(row["length"])], cv2.IMREAD_COLOR_RGB)
        name = f"shard-{number:05d}.jpgs, picture {index - self._starts[number]}"
        if image is None:
            raise self._folder.damaged(f"shard-{number:05d}.jpgs", f"there is no picture at byte {start}")
        keypoints = row["keypoints_m"].astype(np.float64)
        vertices = row["relative_vertices_m"].astype(np.float64) + keypoints[0] if self.info.vertices else None
        return LabelledHand(
            np.asarray(image, dtype=np.uint8),
            row["matrix"].astype(np.float64),
            keypoints,
            vertices,
            handedness="left" if row["left"] else "right",
            name=name,
            occlusion=None if (row["occlusion"] == _UNKNOWN).any() else np.array(row["occlusion"]),
            skin_tone=int(row["skin_tone"]),
        )

    def column(self, name: str) -> NDArray[Any]:
        """One field of all rows, in order: no picture is read. Names are those of `ShardInfo.row`."""
        return np.concatenate([np.array(self._shard(number).rows[name]) for number in range(len(self.lengths))])

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes: maps stay behind, each process opens its own."""
        return {**self.__dict__, "_opened": OrderedDict()}

    def _shard(self, number: int) -> _Open:
        shard = self._opened.pop(number, None)
        if shard is None:
            stem = self._folder.root / f"shard-{number:05d}"
            pictures = np.memmap(stem.with_suffix(".jpgs"), dtype=np.uint8, mode="r")
            shard = _Open(map_npy(stem.with_suffix(".npy")), pictures)
        self._opened[number] = shard  # the newest last
        while len(self._opened) > _OPEN_SHARDS:
            self._opened.popitem(last=False)
        return shard

    def _checked_length(self, number: int) -> int:
        name = f"shard-{number:05d}.npy"
        try:
            rows = map_npy(self._folder.file(name))
        except (OSError, ValueError) as error:
            raise self._folder.damaged(name, f"it is no whole NumPy file ({error})") from error
        if rows.dtype != self.info.row or rows.ndim != 1 or not len(rows):
            raise self._folder.damaged(name, f"its rows have another form than {INDEX} states")
        starts, lengths = (rows[name].astype(np.int64) for name in ("offset", "length"))
        end = int(starts[-1]) + int(lengths[-1])
        if starts.min() < 0 or lengths.min() < 0 or (starts + lengths).max() > end:
            raise self._folder.damaged(name, "it has pictures that lie elsewhere than in its file")
        pictures = self._folder.file(f"shard-{number:05d}.jpgs")
        if pictures.stat().st_size != end:
            raise self._folder.damaged(pictures.name, f"it has {pictures.stat().st_size} of {end} bytes")
        return len(rows)


def read_info(folder: Path) -> ShardInfo:
    """What `shards.json` states.

    Raises:
        DatasetError: it is missing, damaged, or of a newer version.
    """
    path = folder / INDEX
    try:
        content = read_json(path)
        if content["format"] != "handdgp-shards" or content["version"] != VERSION:
            raise DatasetError(
                f"{path} is {content['format']} version {content['version']}, not handdgp-shards version {VERSION}.",
                hint="Make the shards again.",
            )
        known = {name: content[name] for name in ("vertices", "keypoints", "mesh", "origin")}
        counts = known["vertices"], known["keypoints"]
        if not all(type(count) is int and 0 <= count <= _MOST_POINTS for count in counts):
            raise ValueError(f"{counts} vertices and keypoints")
        return ShardInfo(*counts, str(known["mesh"]), str(known["origin"]))
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"Could not read {path} ({type(error).__name__}: {error}).", hint="Copy the folder again, or make it again."
        ) from error


def _numbers(folder: Path) -> list[int]:
    matches = (_NAME.fullmatch(entry.name) for entry in os.scandir(folder))
    return sorted(int(match[1]) for match in matches if match)


def _jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _write_rows(path: Path, rows: NDArray[Any]) -> Path:
    with whole_file(path) as part, part.open("wb") as file:
        np.save(file, rows)
    return path
