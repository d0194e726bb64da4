"""The `open` and `landmarks` models on synthetic shards: errors by distance, view, skin tone, occlusion and hand size.

Every hand is looked at in the crop around its labelled keypoints, each picture by itself. Hands that the landmark
network does not see (presence below one half) are not followed by the program: they are counted and left out of errors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand import OpenHand
from handdgp_core.networks.pose_refiner import PoseRefiner
from handdgp_core.training.augmentation import AppearanceSettings, ViewSettings
from handdgp_core.training.datasets.shards import Shards
from handdgp_core.training.refiner.data import RefinerSet, load_set
from handdgp_core.training.refiner.scores import refined_or_fit, score
from handdgp_core.types import Array

__all__ = ["break_down"]

_FOLLOWED = 0.5
_DISTANCES_M = (0.0, 0.3, 0.5, 0.8, 1.2, np.inf)
_ANGLES_DEG = (0.0, 30.0, 60.0, 90.01)
_TONES = (1, 4, 7, 11)
_HIDDEN = (0.0, 0.2, 0.4, 0.6, 1.01)
_LENGTHS_MM = (0.0, 150.0, 165.0, 180.0, 195.0, np.inf)
_ERRORS = ("joint_mm", "sized_mm", "uniform_mm", "root_mm", "uniform_root_mm", "relative_mm", "keypoints_px")
Mask = NDArray[np.bool_]
_STATES = ("visible", "behind_a_hand", "behind_a_thing", "outside")


def break_down(shards: Shards, refiner: PoseRefiner | None, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Tables for JSON.

    Args:
        shards: with skin tones and occlusion, as `synth` writes them.
        refiner: of the `open` model; None for `landmarks`.
        progress: told (views done, views in all).

    Returns:
        "all" and, for every kind of group, its groups: count, followed (part), and mean, median and 90th percentile of
        each error of `scores.score`. "mean_weight": by what hides the keypoint. "skin_tone_spread": the largest
        over the smallest mean error (length given) of the three groups of tones, less 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        steady, plain = ViewSettings().steady(), AppearanceSettings.none()
        views = load_set(shards, Path(folder), 1, 0, steady, plain, progress)
    errors = {name: value.double().numpy() for name, value in score(refiner, views).items() if name in _ERRORS}
    followed = views.evidence.presence.numpy() > _FOLLOWED
    occlusion = shards.column("occlusion")[views.sample.numpy()]
    tables: dict[str, Any] = {"all": _row(np.ones(len(views), bool), followed, errors)}
    for kind, (values, edges) in _groups(shards, views, occlusion).items():
        tables[kind] = {
            _range(low, high): _row((values >= low) & (values < high), followed, errors)
            for low, high in pairwise(edges)
        }
    tables["mean_weight"] = _weights(refiner, views, followed, occlusion)
    means = [row["sized_mm"]["mean"] for row in tables["skin_tone"].values() if row["followed_count"]]
    tables["skin_tone_spread"] = max(means) / min(means) - 1 if means else None
    return tables


def _groups(shards: Shards, views: RefinerSet, occlusion: Array) -> dict[str, tuple[Array, tuple[float, ...]]]:
    keypoints = views.labels["keypoints_m"].double().numpy()
    root = views.labels["root_m"].double().numpy()
    tones = shards.column("skin_tone")[views.sample.numpy()]
    # Lengths from wrist crease to tip, as people measure them: the mean hand's keypoint chain is a little shorter.
    hand = OpenHand.load()
    crease_mm = 1e3 * hand_length_m(keypoints) * hand.hand_length_mean_m / hand_length_m(hand.keypoints)
    return {
        "distance_m": (np.linalg.norm(root, axis=1), _DISTANCES_M),
        "palm_angle_deg": (_palm_angle_deg(keypoints, root), _ANGLES_DEG),
        "skin_tone": (tones, _TONES),
        "skin_tone_step": (tones, tuple(range(1, 12))),
        "hidden_part": ((occlusion > 0).mean(axis=1), _HIDDEN),
        "keypoints_behind_a_thing": ((occlusion == 2).sum(axis=1), (0, 1, 5, 22)),
        "hand_length_mm": (crease_mm, _LENGTHS_MM),
    }


def _palm_angle_deg(keypoints: Array, root: Array) -> Array:
    """Angle between the palm's normal and the line of sight: 0 face-on (palm or back), 90 edge-on."""
    normal = np.cross(keypoints[:, 5], keypoints[:, 17])
    sight = root + keypoints[:, 9]
    cosine = np.abs((normal * sight).sum(1)) / (np.linalg.norm(normal, axis=1) * np.linalg.norm(sight, axis=1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, 0, 1))))


def _row(chosen: Mask, followed: Mask, errors: dict[str, Array]) -> dict[str, Any]:
    kept = chosen & followed
    row: dict[str, Any] = {"count": int(chosen.sum()), "followed_count": int(kept.sum())}
    for name, values in errors.items():
        found = values[kept & np.isfinite(values)]
        if len(found):
            mean, middle, high = float(found.mean()), float(np.median(found)), float(np.percentile(found, 90))
            row[name] = {"mean": mean, "median": middle, "percentile_90": high}
    return row


def _range(low: float, high: float) -> str:
    if isinstance(high, int):  # whole numbers, the upper end excluded
        return f"{low}" if high == low + 1 else f"{low} to {high - 1}"
    return f"{low:g} and more" if not np.isfinite(high) else f"{low:g} to {high:.3g}"


@torch.inference_mode()
def _weights(
    refiner: PoseRefiner | None, views: RefinerSet, followed: Mask, occlusion: Array
) -> dict[str, float | None]:
    weights = refined_or_fit(refiner, views.evidence).weights.numpy()[followed]
    states = occlusion[followed]
    return {
        name: float(weights[states == number].mean()) if (states == number).any() else None
        for number, name in enumerate(_STATES)
    }
