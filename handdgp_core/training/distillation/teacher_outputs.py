"""Views and the teacher's outputs, kept: landmark network, fit and teacher are frozen, so all is computed once.

One .npy file for every block of pictures, written whole or not at all, under a folder whose name follows from all that
the numbers depend on. Files are mapped, never read whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Subset

from handdgp_core.augmentation import ViewPairs, render_views
from handdgp_core.errors import OutputError, WeightsError
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE
from handdgp_core.training.distillation.teacher import Teacher, TeacherOutput

__all__ = ["DistilledViews", "cached_outputs"]

VERSION = 1
Progress = Callable[[int, int], None]
_BATCH = 50
_BLOCK = 250
_LEAST_PRESENCE = 0.5  # the program does not follow a hand below this
_TRUNK = (112, 14, 14)


def row_of(vertices: int, keypoints: int, views: int) -> np.dtype[Any]:
    """Type of a row: one picture in so many views."""
    return np.dtype(
        [
            ("trunk", "<f2", (views, *_TRUNK)),
            ("vertices", "<f2", (views, vertices, 3)),
            ("keypoints_uv", "<f4", (views, keypoints, 2)),
            ("weights", "<f4", (views, keypoints)),
            ("root_m", "<f4", (views, 3)),
            ("intrinsics", "<f4", (views, 3, 3)),
            ("presence", "<f4", (views,)),
            ("uv2_from_uv1", "<f4", (2, 3)),
        ]
    )


def cached_outputs(
    pairs: ViewPairs, origin: str, draws: int, weights: Path, cache: Path, workers: int, progress: Progress
) -> list[Path]:
    """Files with every picture of a data set in its views, with the teacher's outputs.

    Args:
        pairs: what to look at, and how.
        origin: where the pictures come from, to tell caches apart.
        draws: how often, each time in other views.
        weights: of the teacher.
        cache: folder, made where due; what is there already is used.
        workers: loader processes.
        progress: told (pictures done, pictures in all).

    Raises:
        AssetError, WeightsError: the teacher cannot be had.
        DatasetError: a picture cannot be read.
        OutputError: the cache cannot be written.
    """
    if not weights.is_file():
        hint = "Train it first: python main.py train --config configs/teacher.yaml."
        raise WeightsError(f"The teacher's weights {weights} are missing.", hint=hint)
    folder = cache / _key(pairs, origin, weights)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a small network: threads would wait for each other and for the loaders
    try:
        return _cached_files(pairs, draws, weights, folder, workers, progress)
    finally:
        torch.set_num_threads(threads)


def _cached_files(
    pairs: ViewPairs, draws: int, weights: Path, folder: Path, workers: int, progress: Progress
) -> list[Path]:
    teacher: Teacher | None = None
    files, total = [], len(pairs) * draws
    for draw in range(draws):
        pairs.set_epoch(draw)
        for start in range(0, len(pairs), _BLOCK):
            path = folder / f"draw-{draw}-from-{start:07d}.npy"
            if not path.exists():
                teacher = teacher or Teacher(weights)
                block = Subset(pairs, range(start, min(start + _BLOCK, len(pairs))))
                _write(path, _computed(teacher, block, pairs, workers))
            files.append(path)
            progress(min(total, draw * len(pairs) + start + _BLOCK), total)
    return files


class DistilledViews(Dataset[dict[str, Any]]):
    """Distilled views as training samples: "image" is the trunk's map, and the labels are the teacher's.

    Only pictures whose views the landmark network sees and the teacher can place.

    Args:
        files: of `cached_outputs`, all of the same form.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = [np.load(path, mmap_mode="r") for path in files]
        kept = [np.flatnonzero(_good(file)) for file in self._files]
        self.lengths = [len(rows) for rows in kept]
        self._places = [(number, int(row)) for number, rows in enumerate(kept) for row in rows]

    def __len__(self) -> int:
        return len(self._places)

    def set_epoch(self, epoch: int) -> None:
        """The views do not change."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, place = self._places[index]
        row = self._files[number][place]
        sample: dict[str, Any] = {"index": torch.tensor(index)}
        views = len(row["presence"])
        for view in range(views):
            sample[f"view{view + 1}"] = _sample(row, view)
        if views == 2:
            sample["uv2_from_uv1"] = _tensor(row["uv2_from_uv1"])
        return sample


def _sample(row: Any, view: int) -> dict[str, torch.Tensor]:
    names = ("vertices", "keypoints_uv", "weights", "root_m", "intrinsics")
    known = {f"has_{name}": torch.tensor(1.0) for name in ("vertices", "keypoints_uv", "root")}
    return {"image": torch.from_numpy(row["trunk"][view].copy()), **{n: _tensor(row[n][view]) for n in names}, **known}


def _tensor(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def _good(rows: NDArray[Any]) -> NDArray[np.bool_]:
    visible = (rows["presence"] > _LEAST_PRESENCE).all(axis=1)
    placed = np.isfinite(rows["root_m"]).all(axis=(1, 2))
    return np.asarray(visible & placed)


def _key(pairs: ViewPairs, origin: str, weights: Path) -> str:
    key: dict[str, Any] = {"version": VERSION, "seed": pairs.seed, "views": pairs.view_count, "origin": origin}
    key |= {"geometry": asdict(pairs.views), "appearance": asdict(pairs.appearance), "pictures": len(pairs)}
    key["teacher"] = sha256(weights.read_bytes()).hexdigest()
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def _computed(teacher: Teacher, block: Subset[dict[str, Any]], pairs: ViewPairs, workers: int) -> NDArray[Any]:
    rows = np.zeros(len(block), row_of(pairs.vertex_count, pairs.keypoint_count, pairs.view_count))
    done = 0
    for batch in DataLoader(block, batch_size=_BATCH, num_workers=workers):
        rendered = render_views(batch, INPUT_SIZE)
        part = rows[done : done + len(batch["index"])]
        for view in range(pairs.view_count):
            rendered_view = rendered[f"view{view + 1}"]
            _fill(part, view, teacher.outputs(rendered_view["image"], rendered_view["intrinsics"]))
            part["intrinsics"][:, view] = rendered_view["intrinsics"].numpy()
        if pairs.view_count == 2:
            part["uv2_from_uv1"] = rendered["uv2_from_uv1"].numpy()
        done += len(part)
    return rows


def _fill(rows: NDArray[Any], view: int, outputs: TeacherOutput) -> None:
    for name, values in outputs._asdict().items():
        rows[name][:, view] = values.numpy()


def _write(path: Path, rows: NDArray[Any]) -> None:
    part = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, rows)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        cure = "free some space, or choose another teacher.cache"
        raise OutputError(f"to write {path}", str(error.strerror or error), cure) from error
