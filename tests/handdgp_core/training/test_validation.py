"""The loss by which networks are chosen, and means over processes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from handdgp_core.training.losses import LossWeights
from handdgp_core.training.validation import UNPLACED_LOSS, Means, selection_loss

RELATIVE = 0.5


def losses(camera: float, unplaced: int) -> dict[str, Tensor]:
    """Of a batch of four; the camera-space part stands in one term, as the mean over those that have a place."""
    part = camera if unplaced < 4 else 0.0
    values = {"vertices": RELATIVE, "root": part, "vertices_uv": 0.0, "keypoint_consistency": 0.0}
    named = {name: torch.tensor(value) for name, value in values.items()}
    return named | {"total": torch.tensor(RELATIVE + part), "degenerate_count": torch.tensor(unplaced)}


@pytest.mark.parametrize("camera", [0.1, 3.0, 50.0])
def test_placing_fewer_hands_is_never_better(camera: float) -> None:
    scores = [float(selection_loss(losses(camera, unplaced), LossWeights(), 4)) for unplaced in range(5)]
    assert scores == sorted(scores) and scores[-1] == pytest.approx(RELATIVE + UNPLACED_LOSS)
    assert scores[0] == pytest.approx(RELATIVE + min(camera, UNPLACED_LOSS))


def test_without_camera_space_losses_it_is_the_loss() -> None:
    relative = {"vertices": torch.tensor(1.0), "total": torch.tensor(1.0), "degenerate_count": torch.tensor(3)}
    assert float(selection_loss(relative, LossWeights(), 4)) == 1.0


def test_means_are_over_all_processes_whatever_each_of_them_has() -> None:
    here, there = Means(), Means()
    for means, parts in ((here, [(1.0, 2), (4.0, 1)]), (there, [(math.nan, 0)])):
        for mean, count in parts:
            means.add("error", torch.tensor(mean), count)
        means.add("nobody's", torch.tensor(math.nan), 0)
    sent: list[Tensor] = []
    there.over(lambda values: sent.append(values) or values)
    assert here.over(lambda values: values + sent[0]) == {"error": pytest.approx(2.0)}
    assert here.over(lambda values: values) == {}
