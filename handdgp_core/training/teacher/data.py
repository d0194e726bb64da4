"""What a refiner learns from: for every view of a labelled picture, the fit to its landmarks, and the truth.

The landmark network and the fit are frozen, so all this is computed once and kept (`cached_views`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings
from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import WeightsError
from handdgp_core.estimation.landmarks import landmarks_from
from handdgp_core.estimation.refined_landmarks import evidence_of, teacher_fit, teacher_fitter
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.networks.checkpoints.foreign_weights import read_torch_file
from handdgp_core.networks.pose_refiner import Evidence
from handdgp_core.training.cached_views import Progress, cache_folder, cached_files, rendered_batches

__all__ = ["Labels", "RefinerSet", "load_set"]

_BATCH = 32
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
        """The views in which the landmark network finds a hand."""
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
    key = {"seed": seed, "origin": shards.info.origin, "views": asdict(settings), "appearance": asdict(appearance)}
    folder = cache_folder(cache, key)
    pairs = ViewPairs(shards, shards.info.vertices, settings, appearance, 1, seed)
    source = functools.cache(lambda: _Source(pairs))  # loaded where something is missing
    starts = accumulate(shards.lengths, initial=0)
    used = [length for length, start in zip(shards.lengths, starts, strict=False) if limit is None or start < limit]
    files = cached_files(
        pairs,
        used,
        views,
        lambda view, number, first: folder / f"shard-{number:05d}-view-{view}.pt",
        lambda indices: source().views(indices),
        _save,
        progress,
    )
    return _joined([_load(path) for path in files])


class _Source:
    """Computes sets."""

    def __init__(self, pairs: ViewPairs) -> None:
        self._pairs = pairs
        self._network = MediaPipeLandmarks.load()
        self._hand = OpenHand.load()
        self._fitter = teacher_fitter(self._hand)

    def views(self, indices: range) -> RefinerSet:
        """One view of each of these images."""
        batches = rendered_batches(self._pairs, indices, _BATCH)
        return _joined([self._batch(batch["view1"], batch["index"]) for batch in batches])

    @torch.inference_mode()
    def _batch(self, view: Mapping[str, Tensor], index: Tensor) -> RefinerSet:
        landmarks = landmarks_from(self._network(view["image"]))
        observation, pose = teacher_fit(landmarks, view["intrinsics"].double().numpy(), self._fitter)
        regressor = torch.from_numpy(self._hand.keypoint_regressor).float()
        keypoints = torch.einsum("kv,bvc->bkc", regressor, view["vertices"] * self._pairs.hand_scale_m)
        labels = {
            "keypoints_m": keypoints - keypoints[:, :1],
            **{name: view[name] for name in ("keypoints_uv", "root_m", "intrinsics")},
        }
        return RefinerSet(evidence_of(self._hand, pose, observation, landmarks), labels, index)


def _joined(parts: list[RefinerSet]) -> RefinerSet:
    evidence = Evidence(*(torch.cat(columns) for columns in zip(*(part.evidence for part in parts), strict=True)))
    labels = {name: torch.cat([part.labels[name] for part in parts]) for name in parts[0].labels}
    return RefinerSet(evidence, labels, torch.cat([part.sample for part in parts]))


def _save(path: Path, part: RefinerSet) -> None:
    torch.save({"evidence": part.evidence._asdict(), "labels": dict(part.labels), "sample": part.sample}, path)


def _load(path: Path) -> RefinerSet:
    """Raises WeightsError for a file that is damaged or of another kind."""
    hint = "Delete it: it is computed again."
    content = read_torch_file(path, hint)
    try:
        part = RefinerSet(Evidence(**content["evidence"]), dict(content["labels"]), content["sample"])
        counts = {len(values) for values in (*part.evidence, *part.labels.values(), part.sample)}
    except (TypeError, KeyError, ValueError) as error:
        raise WeightsError(f"Could not read {path}: it holds no views of a refiner.", hint=hint) from error
    if len(counts) != 1:
        raise WeightsError(f"Could not read {path}: its tensors are of different lengths.", hint=hint)
    return part
