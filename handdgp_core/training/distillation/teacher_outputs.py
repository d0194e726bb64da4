"""Views with the teacher's outputs: landmark network, fit and teacher are frozen, so all is computed once.

One .npy file for every block of images, which is mapped, never read whole.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from handdgp_core.augmentation import ViewPairs
from handdgp_core.errors import WeightsError
from handdgp_core.training.cached_views import Progress, cache_folder, cached_files, rendered_batches
from handdgp_core.training.distillation.teacher import Teacher, TeacherOutput

__all__ = ["DistilledViews", "cached_outputs"]

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
    key = {"seed": pairs.seed, "views": pairs.view_count, "origin": origin, "pictures": len(pairs)}
    key |= {"geometry": asdict(pairs.views), "appearance": asdict(pairs.appearance)}
    folder = cache_folder(cache, {**key, "teacher": sha256(weights.read_bytes()).hexdigest()})
    teacher = functools.cache(lambda: Teacher(weights))  # loaded where something is missing
    lengths = [len(range(len(pairs))[start : start + _BLOCK]) for start in range(0, len(pairs), _BLOCK)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a small network: threads would wait for each other and for the loaders
    try:
        return cached_files(
            pairs,
            lengths,
            draws,
            lambda draw, number, first: folder / f"draw-{draw}-from-{first:07d}.npy",
            lambda indices: _computed(teacher(), pairs, indices, workers),
            lambda path, rows: np.save(path, rows),
            progress,
        )
    finally:
        torch.set_num_threads(threads)


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


def _computed(teacher: Teacher, pairs: ViewPairs, indices: range, workers: int) -> NDArray[Any]:
    rows = np.zeros(len(indices), row_of(pairs.vertex_count, pairs.keypoint_count, pairs.view_count))
    done = 0
    for batch in rendered_batches(pairs, indices, _BATCH, workers):
        part = rows[done : done + len(batch["index"])]
        for number in range(pairs.view_count):
            view = batch[f"view{number + 1}"]
            _fill(part, number, teacher.outputs(view["image"], view["intrinsics"]))
            part["intrinsics"][:, number] = view["intrinsics"].numpy()
        if pairs.view_count == 2:
            part["uv2_from_uv1"] = batch["uv2_from_uv1"].numpy()
        done += len(part)
    return rows


def _fill(rows: NDArray[Any], view: int, outputs: TeacherOutput) -> None:
    for name, values in outputs._asdict().items():
        rows[name][:, view] = values.numpy()
