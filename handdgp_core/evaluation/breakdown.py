"""Any model on synthetic shards: errors by distance, view, skin tone, occlusion and hand size.

Every hand is estimated in the crop around its labelled keypoints, each image by itself. Hands with a score below one
half are not followed by the program: they are counted, and errors do not include them. A model without a score follows
every hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import Shards
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.estimation.predictor import Prediction, Predictor, View
from handdgp_core.evaluation.crop_errors import crop_errors
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import OpenHand

__all__ = ["break_down"]

_FOLLOWED = 0.5
_DISTANCES_M = (0.0, 0.3, 0.5, 0.8, 1.2, np.inf)
_ANGLES_DEG = (0.0, 30.0, 60.0, 90.01)
_TONES = (1, 4, 7, 11)
_HIDDEN = (0.0, 0.2, 0.4, 0.6, 1.01)
_LENGTHS_MM = (0.0, 150.0, 165.0, 180.0, 195.0, np.inf)
_BATCH = 32
Mask = NDArray[np.bool_]
_STATES = ("visible", "behind_a_hand", "behind_a_thing", "outside")


class _Scored(NamedTuple):
    """What a model predicts of N hands, and the truth, root-relative in each virtual camera's frame.

    Attributes:
        errors: (N,) by name.
        weights: (N, 21).
        score: (N,), 1 where the model has none.
        keypoints_m: (N, 21, 3) true, relative to the root.
        root_m: (N, 3) true.
    """

    errors: dict[str, Array]
    weights: Array
    score: Array
    keypoints_m: Array
    root_m: Array


def break_down(shards: Shards, model: Predictor, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Tables for JSON.

    Args:
        shards: with skin tones and occlusion, as `synth` writes them.
        model: whose errors these are.
        progress: told (pictures done, pictures in all).

    Returns:
        "all" and, for every kind of group, its groups: count, followed (part), and mean, median and 90th percentile of
        each error of `crop_errors`. "mean_weight": by what hides the keypoint. "skin_tone_spread": the largest over the
        smallest mean error (length given) of the three groups of tones, less 1.
    """
    scored = _joined([_look(model, part) for part in _batches(shards, progress)])
    followed = scored.score > _FOLLOWED
    occlusion = shards.column("occlusion")
    tables: dict[str, Any] = {"all": _row(np.ones(len(followed), bool), followed, scored.errors)}
    for kind, (values, edges) in _groups(shards, scored, occlusion).items():
        tables[kind] = {
            _range(low, high): _row((values >= low) & (values < high), followed, scored.errors)
            for low, high in pairwise(edges)
        }
    tables["mean_weight"] = _weights(scored.weights[followed], occlusion[followed])
    means = [row["sized_mm"]["mean"] for row in tables["skin_tone"].values() if row["followed_count"]]
    tables["skin_tone_spread"] = max(means) / min(means) - 1 if means else None
    return tables


def _batches(shards: Shards, progress: Callable[[int, int], None]) -> Iterator[list[LabelledHand]]:
    for first in range(0, len(shards), _BATCH):
        last = min(first + _BATCH, len(shards))
        yield [shards[index] for index in range(first, last)]
        progress(last, len(shards))


def _look(model: Predictor, hands: list[LabelledHand]) -> _Scored:
    views, images = [], []
    for hand in hands:
        height, width = hand.image.shape[:2]
        camera = Camera(width, height, hand.matrix)
        crop = crop_from_keypoints(camera.project(hand.keypoints_m), hand.handedness, 1.0)
        views.append(View(crop, model.rectify(camera, crop)))
        images.append(views[-1].rectification.warp(hand.image))
    predicted = model.predict(np.stack(images).astype(np.uint8, copy=False), views, 0)
    placed = [
        hand.keypoints_m @ view.rectification.virtual_from_camera.T for hand, view in zip(hands, views, strict=True)
    ]
    return _compared(predicted, np.stack(placed), views)


def _compared(predicted: Prediction, true_m: Array, views: list[View]) -> _Scored:
    matrices = np.stack([view.rectification.matrix for view in views])
    true_px = np.einsum("bij,bkj->bki", matrices, true_m)
    plane = np.stack(
        [view.rectification.normalised(px) for view, px in zip(views, predicted.keypoints_px, strict=True)]
    )
    errors = crop_errors(
        predicted.keypoints_m,
        predicted.keypoints_px,
        plane,
        predicted.weights,
        true_m,
        true_px[..., :2] / true_px[..., 2:],
    )
    score = np.where(np.isnan(predicted.score), 1.0, predicted.score)
    return _Scored(errors, predicted.weights, score, true_m - true_m[:, :1], true_m[:, 0])


def _joined(parts: list[_Scored]) -> _Scored:
    errors = {name: np.concatenate([part.errors[name] for part in parts]) for name in parts[0].errors}
    rest = (np.concatenate(column) for column in zip(*(part[1:] for part in parts), strict=True))
    return _Scored(errors, *rest)


def _groups(shards: Shards, scored: _Scored, occlusion: Array) -> dict[str, tuple[Array, tuple[float, ...]]]:
    tones = shards.column("skin_tone")
    # Lengths from wrist crease to tip, as people measure them: the mean hand's keypoint chain is a little shorter.
    hand = OpenHand.load()
    crease_mm = 1e3 * hand_length_m(scored.keypoints_m) * hand.hand_length_mean_m / hand_length_m(hand.keypoints)
    return {
        "distance_m": (np.linalg.norm(scored.root_m, axis=1), _DISTANCES_M),
        "palm_angle_deg": (_palm_angle_deg(scored.keypoints_m, scored.root_m), _ANGLES_DEG),
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


def _weights(weights: Array, states: Array) -> dict[str, float | None]:
    return {
        name: float(weights[states == number].mean()) if (states == number).any() else None
        for number, name in enumerate(_STATES)
    }
