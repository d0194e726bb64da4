"""What a frozen landmark network says of augmented views, kept on disk, so that heads train from it in minutes.

For every shard and each of `views` draws of the augmentation there is one file in the cache folder, written whole or
not at all. What is there is used again as long as the settings are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from handdgp_core.networks.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.training.augmentation import AppearanceSettings, ViewPairs, ViewSettings, render_views
from handdgp_core.training.datasets.shards import Shards

__all__ = ["Features", "cached_features", "features_of"]

_BATCH = 32
_VERTICES = 1609
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """N views. All tensors on the CPU.

    Attributes:
        pooled: (N, 1152) half floats. pixels (N, 21, 2), depth (N, 21), world_m (N, 21, 3), presence (N,): the
            network's landmarks.
        intrinsics: (N, 3, 3) of the view. keypoints_uv (N, 21, 2), root_m (N, 3): labels in the view.
        turn: (N, 3, 3) virtual_from_camera.
        sample: (N,) number of the sample in its data set.
    """

    pooled: Tensor
    pixels: Tensor
    depth: Tensor
    world_m: Tensor
    presence: Tensor
    intrinsics: Tensor
    keypoints_uv: Tensor
    root_m: Tensor
    turn: Tensor
    sample: Tensor

    def __len__(self) -> int:
        return len(self.sample)

    def at(self, index: Tensor) -> Features:
        """Some of them."""
        return Features(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def joined(parts: list[Features]) -> Features:
        """One after the other."""
        return Features(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Features)))


@torch.inference_mode()
def features_of(network: MediaPipeLandmarks, views: ViewPairs, indices: NDArray[np.int64], size: int = 224) -> Features:
    """Features of some samples' first views, in order."""
    parts = []
    for start in range(0, len(indices), _BATCH):
        batch = default_collate([views[int(index)] for index in indices[start : start + _BATCH]])
        view = render_views(batch, size)["view1"]
        pooled = network.features(view["image"]).pooled
        found = network.heads(pooled)
        parts.append(
            Features(
                pooled.half(),
                found.keypoints_px,
                found.keypoints_z,
                found.world_m,
                found.presence,
                view["intrinsics"],
                view["keypoints_uv"],
                view["root_m"],
                view["virtual_from_camera"],
                batch["index"],
            )
        )
    return Features.joined(parts)


def cached_features(
    shards: Shards,
    folder: Path,
    views: int,
    seed: int,
    settings: ViewSettings,
    appearance: AppearanceSettings,
    progress: Progress,
) -> Features:
    """Features of all samples, `views` draws of each.

    Args:
        shards: the data set.
        folder: of the cache; made where due.
        views: augmentations of each sample.
        seed: of the augmentation.
        settings, appearance: how views vary; `.steady()` and `.none()` for validation.
        progress: told (views done, views in all).
    """
    key = {"views": asdict(settings), "appearance": asdict(appearance), "seed": seed, "origin": shards.info.origin}
    place = folder / sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    place.mkdir(parents=True, exist_ok=True)
    pairs = ViewPairs(shards, _VERTICES, settings, appearance, 1, seed)
    network = MediaPipeLandmarks.load()
    starts = np.concatenate([[0], np.cumsum(shards.lengths)])
    parts, done = [], 0
    for view in range(views):
        pairs.set_epoch(view)
        for number, length in enumerate(shards.lengths):
            path = place / f"shard-{number:05d}-view-{view}.pt"
            if not path.exists():
                _save(path, features_of(network, pairs, starts[number] + np.arange(length)))
            parts.append(Features(**torch.load(path, weights_only=True)))
            done += length
            progress(done, len(shards) * views)
    return Features.joined(parts)


def _save(path: Path, features: Features) -> None:
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    torch.save({field.name: getattr(features, field.name) for field in fields(features)}, partial)
    os.replace(partial, path)
