"""Tables of a model on shards, with one that knows the answer and one that errs by a known amount."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import ShardInfo, Shards, ShardWriter
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.evaluation.breakdown import break_down
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand

MATRIX = np.array([[400.0, 0, 119.5], [0, 400, 119.5], [0, 0, 1]])
COUNT = 30
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])


def labelled(number: int) -> LabelledHand:
    """Skin tones in turn, farther and farther away; every third has its index finger behind a thing."""
    hand, rng = OpenHand.load(), np.random.default_rng(number)
    pose = HandPose(_UPRIGHT[None], hand.dof_mean_rad[None], np.zeros((1, hand.shape_count)), np.ones(1))
    keypoints = hand.forward(pose)[1][0] + [0, 0.05, 0.25 + 0.05 * number]
    left = number % 2 == 1
    keypoints = keypoints * ([-1.0, 1.0, 1.0] if left else [1.0, 1.0, 1.0])
    occlusion = np.zeros(21, np.uint8)
    occlusion[5:9] = 2 * (number % 3 == 0)
    image = rng.integers(0, 255, (240, 240, 3), dtype=np.uint8)
    side = "left" if left else "right"
    return LabelledHand(
        image,
        MATRIX,
        keypoints,
        None,
        side,
        f"{number}",
        None,
        occlusion,
        1 + number % 10,
    )


class Oracle:
    """Says the truth of the hands that it is going to be shown, `larger` by a factor; it doubts some."""

    def __init__(self, hands: Sequence[LabelledHand], larger: float = 1.0, doubted: Sequence[int] = ()) -> None:
        self.name, self.stage_ms, self.distance_error, self.assumed_length_m = "oracle", {}, None, None
        self.engine = "none"
        self.method: PositioningMethod = "refined"
        self.faces: NDArray[np.int32] = OpenHand.load().faces
        self._hands, self._next, self._larger, self._doubted = hands, 0, larger, doubted

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        return Rectification.fit(camera, crop)

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        numbers = range(self._next, self._next + len(views))
        self._next += len(views)
        placed = np.stack(
            [
                self._hands[number].keypoints_m @ view.rectification.virtual_from_camera.T
                for number, view in zip(numbers, views, strict=True)
            ]
        )
        matrices = np.stack([view.rectification.matrix for view in views])
        seen = np.einsum("bij,bkj->bki", matrices, placed)
        relative = self._larger * (placed - placed[:, :1])
        weights = np.stack([np.where(self._hands[number].occlusion == 2, 0.2, 0.8) for number in numbers])
        score = np.array([0.1 if number in self._doubted else np.nan for number in numbers])
        return Prediction(seen[..., :2] / seen[..., 2:], relative, relative, weights, score, score, score * np.nan)

    def reset(self) -> None:
        pass


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Shards, list[LabelledHand]]:
    hands = [labelled(number) for number in range(COUNT)]
    ShardWriter(tmp_path, ShardInfo(0)).write(0, hands)
    found = Shards(tmp_path)
    return found, [found[index] for index in range(COUNT)]  # as they come back, in half the digits


def silent(done: int, total: int) -> None:
    pass


def test_a_model_that_knows_the_answer_has_no_error_in_any_group(shards: tuple[Shards, list[LabelledHand]]) -> None:
    tables = break_down(shards[0], Oracle(shards[1]), silent)
    assert tables["all"]["count"] == tables["all"]["followed_count"] == COUNT
    for kind in ("distance_m", "palm_angle_deg", "skin_tone", "hidden_part", "hand_length_mm"):
        assert sum(row["count"] for row in tables[kind].values()) == COUNT, kind
    for name in ("joint_mm", "sized_mm", "uniform_mm", "root_mm", "relative_mm", "keypoints_px"):
        assert tables["all"][name]["percentile_90"] < 0.05, name
    assert tables["mean_weight"]["visible"] == pytest.approx(0.8)
    assert tables["mean_weight"]["behind_a_thing"] == pytest.approx(0.2)
    assert tables["mean_weight"]["outside"] is None
    assert tables["keypoints_behind_a_thing"]["1 to 4"]["count"] == COUNT // 3


def test_a_size_that_is_wrong_costs_distance_unless_the_length_is_given(
    shards: tuple[Shards, list[LabelledHand]],
) -> None:
    row = break_down(shards[0], Oracle(shards[1], larger=1.1), silent)["all"]
    distance_mm = 1e3 * np.median([np.linalg.norm(hand.keypoints_m[0]) for hand in shards[1]])
    assert row["joint_mm"]["median"] == pytest.approx(0.1 * distance_mm, rel=0.1)
    assert row["sized_mm"]["percentile_90"] < 0.05


def test_hands_that_the_model_doubts_are_counted_and_skipped(shards: tuple[Shards, list[LabelledHand]]) -> None:
    row = break_down(shards[0], Oracle(shards[1], doubted=(0, 7)), silent)["all"]
    assert (row["count"], row["followed_count"]) == (COUNT, COUNT - 2)
