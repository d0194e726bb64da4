"""What a refiner learns from: for every view of a labelled picture, the fit to its landmarks, and the truth.

The landmark network and the fit are frozen, so all this is computed once and kept: one file for every shard and view,
written whole or not at all, under a name that follows from the settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings, render_views
from handdgp_core.datasets.shards import Shards
from handdgp_core.estimation.landmarks import landmarks_from
from handdgp_core.estimation.refined_landmarks import evidence_of, teacher_fit, teacher_fitter
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE, MediaPipeLandmarks
from handdgp_core.networks.pose_refiner import Evidence

__all__ = ["Labels", "RefinerSet", "load_set"]

VERSION = 1
_BATCH = 32
Progress = Callable[[int, int], None]
Labels = Mapping[str, Tensor]


@dataclass(frozen=True)
class RefinerSet:
    """N views.

    Attributes:
        evidence: fits and landmarks.
        labels: keypoints_m (N, 21, 3) root-relative, keypoints_uv (N, 21, 2) crop fractions, root_m (N, 3), intrinsics
            (N, 3, 3), all of the view, where a left hand is mirrored.
        sample: (N,) number of the picture in its data set.
    """

    evidence: Evidence
    labels: Labels
    sample: Tensor

    def __len__(self) -> int:
        return len(self.sample)

    def at(self, index: Tensor) -> RefinerSet:
        """Some of the views."""
        labels = {name: value[index] for name, value in self.labels.items()}
        return RefinerSet(self.evidence.at(index), labels, self.sample[index])

    def followed(self, least_presence: float) -> RefinerSet:
        """The views in which the landmark network sees a hand."""
        return self.at(torch.where(self.evidence.presence > least_presence)[0])


def load_set(
    shards: Shards,
    cache: Path,
    views: int,
    seed: int,
    settings: ViewSettings,
    appearance: AppearanceSettings,
    progress: Progress,
    limit: int | None = None,
) -> RefinerSet:
    """All pictures of a data set, `views` augmented views of each; from the cache where it is there.

    Args:
        shards: the data set.
        cache: folder, made where due.
        views: of each picture.
        seed: of the augmentation.
        settings, appearance: how views vary; `.steady()` and `.none()` for validation.
        progress: told (views done, views in all).
        limit: use the first pictures only, rounded up to whole shards.
    """
    folder = cache / cache_key(shards, seed, settings, appearance)
    folder.mkdir(parents=True, exist_ok=True)
    source = _Source(shards, settings, appearance, seed)
    starts = np.concatenate([[0], np.cumsum(shards.lengths)])
    used = [length for length, start in zip(shards.lengths, starts, strict=False) if limit is None or start < limit]
    parts, done = [], 0
    for view in range(views):
        for number, length in enumerate(used):
            path = folder / f"shard-{number:05d}-view-{view}.pt"
            if not path.exists():
                _save(path, source.views(view, starts[number] + np.arange(length)))
            parts.append(_load(path))
            done += length
            progress(done, sum(used) * views)
    return _joined(parts)


def cache_key(shards: Shards, seed: int, settings: ViewSettings, appearance: AppearanceSettings) -> str:
    """Name that follows from all that the cached numbers depend on."""
    key: dict[str, Any] = {"version": VERSION, "seed": seed, "origin": shards.info.origin}
    key |= {"views": asdict(settings), "appearance": asdict(appearance)}
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


class _Source:
    """Computes sets; the networks are loaded on first use."""

    def __init__(self, shards: Shards, settings: ViewSettings, appearance: AppearanceSettings, seed: int) -> None:
        self._pairs = ViewPairs(shards, shards.info.vertices, settings, appearance, 1, seed)
        self._network: MediaPipeLandmarks | None = None
        self._hand = OpenHand.load()
        self._fitter = teacher_fitter(self._hand)

    def views(self, epoch: int, indices: NDArray[np.int64]) -> RefinerSet:
        """One view of each picture, augmented as in this epoch."""
        self._pairs.set_epoch(epoch)
        starts = range(0, len(indices), _BATCH)
        return _joined([self._batch(indices[start : start + _BATCH]) for start in starts])

    @torch.inference_mode()
    def _batch(self, indices: NDArray[np.int64]) -> RefinerSet:
        self._network = self._network or MediaPipeLandmarks.load()
        batch = default_collate([self._pairs[int(index)] for index in indices])
        view = render_views(batch, INPUT_SIZE)["view1"]
        landmarks = landmarks_from(self._network(view["image"]))
        observation, pose = teacher_fit(landmarks, view["intrinsics"].double().numpy(), self._fitter)
        regressor = torch.from_numpy(self._hand.keypoint_regressor).float()
        keypoints = torch.einsum("kv,bvc->bkc", regressor, view["vertices"] * self._pairs.hand_scale_m)
        labels = {
            "keypoints_m": keypoints - keypoints[:, :1],
            **{name: view[name] for name in ("keypoints_uv", "root_m", "intrinsics")},
        }
        return RefinerSet(evidence_of(self._hand, pose, observation, landmarks), labels, batch["index"])


def _joined(parts: list[RefinerSet]) -> RefinerSet:
    evidence = Evidence(*(torch.cat(columns) for columns in zip(*(part.evidence for part in parts), strict=True)))
    labels = {name: torch.cat([part.labels[name] for part in parts]) for name in parts[0].labels}
    return RefinerSet(evidence, labels, torch.cat([part.sample for part in parts]))


def _save(path: Path, part: RefinerSet) -> None:
    content = {"evidence": part.evidence._asdict(), "labels": dict(part.labels), "sample": part.sample}
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    torch.save(content, partial)
    os.replace(partial, path)


def _load(path: Path) -> RefinerSet:
    content = torch.load(path, weights_only=True)
    return RefinerSet(Evidence(**content["evidence"]), content["labels"], content["sample"])
