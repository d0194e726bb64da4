from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handdgp_core.errors import UsageError
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner
from handdgp_core.training.teacher.config import (
    RefinerConfig,
    RefinerLosses,
    RefinerSchedule,
    is_refiner_config,
    load_refiner_config,
)
from handdgp_core.training.teacher.data import RefinerSet
from handdgp_core.training.teacher.losses import refiner_losses
from handdgp_core.training.teacher.module import fit_refiner
from handdgp_core.training.teacher.scores import score
from tests.places import ROOT

CONFIGS = ROOT / "configs"


def views(count: int, seed: int, exact: bool = False) -> RefinerSet:
    """Hands whose fit is turned too far about the palm's x axis by what the landmarks' own depth tells, plus noise."""
    rng = np.random.default_rng(seed)
    hand = OpenHand.load()
    turn = Rotation.random(count, random_state=seed).as_matrix()
    dof = hand.clamped(hand.dof_mean_rad + 0.3 * hand.dof_sd_rad * rng.normal(size=(count, hand.dof_count)))
    pose = HandPose(turn, dof, np.zeros((count, hand.shape_count)), np.ones(count))
    true = hand.forward(pose)[1]
    root = np.array([0.0, 0.05, 0.5]) + rng.normal(0, 0.03, (count, 3))
    focal = rng.uniform(350, 500, count)
    placed = true + root[:, None]
    pixels = placed[..., :2] / placed[..., 2:] * focal[:, None, None] + 111.5
    wrong = np.zeros(count) if exact else rng.uniform(-0.5, 0.5, count)
    axis = np.stack([wrong, 0 * wrong, 0 * wrong], axis=1)
    seen = turn @ Rotation.from_rotvec(axis).as_matrix()
    own = np.einsum("bki,bij->bkj", true, turn)
    noise = 0.0 if exact else 1.0
    matrix = np.zeros((count, 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = focal
    matrix[:, :2, 2], matrix[:, 2, 2] = 111.5, 1
    parts = (
        seen,
        dof / hand.dof_sd_rad,
        np.zeros((count, hand.shape_count)),
        np.zeros(count),
        own,
        np.einsum("bki,bji->bkj", own, seen),
        root,
        pixels + noise * rng.normal(0, 1, pixels.shape),
        80 * wrong[:, None] * np.linspace(-1, 1, 21) + noise * rng.normal(0, 1, (count, 21)),
        np.full(count, 0.99),
        np.full(count, 0.99),
        focal,
        np.full((count, 2), 111.5),
    )
    evidence = Evidence(*(torch.tensor(np.asarray(part), dtype=torch.float32) for part in parts))
    labels = {"keypoints_m": true, "keypoints_uv": (pixels + 0.5) / 224, "root_m": root, "intrinsics": matrix}
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in labels.items()}
    return RefinerSet(evidence, tensors, torch.arange(count))


def config(**schedule: int) -> RefinerConfig:
    return RefinerConfig(
        method="refiner", schedule=RefinerSchedule(batch_size=64, width=48, report_every=1000, **schedule)
    )


def test_perfect_evidence_has_no_error_and_no_loss_but_that_of_the_weights() -> None:
    exact = views(20, 1, exact=True)
    errors = score(None, exact)
    for name in ("joint_mm", "sized_mm", "uniform_mm", "root_mm", "relative_mm"):
        assert errors[name].max() < 0.05, name
    assert errors["keypoints_px"].max() < 1e-3
    untrained = PoseRefiner(24, 6).eval()
    terms = refiner_losses(exact.evidence, untrained(exact.evidence), exact.labels, RefinerLosses(trust=0.0))
    assert float(terms["total"].detach()) < 1e-3


def test_size_plays_no_part_in_the_losses() -> None:
    given = views(16, 2)
    larger = given.evidence._replace(points_m=1.3 * given.evidence.points_m)
    refined = PoseRefiner(24, 6).eval()(given.evidence)
    plain = refiner_losses(given.evidence, refined, given.labels, RefinerLosses())
    other = refiner_losses(larger, refined, given.labels, RefinerLosses())
    assert float(other["total"].detach()) == pytest.approx(float(plain["total"].detach()), rel=1e-4)


def test_training_learns_what_the_landmarks_give_away_and_is_repeatable() -> None:
    training, validation = views(700, 3), views(150, 4)
    before = score(None, validation)["sized_mm"].mean()
    reported: list[int] = []
    refiner, figures = fit_refiner(config(steps=120), training, validation, lambda step, found: reported.append(step))
    assert reported == [120]
    assert figures["sized_mm"] < 0.85 * float(before)
    again, _ = fit_refiner(config(steps=120), training, validation, lambda step, found: None)
    for name, value in refiner.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_hands_below_the_least_presence_are_skipped() -> None:
    given = views(10, 5)
    doubted = given.evidence._replace(presence=torch.linspace(0, 0.9, 10))
    kept = replace(given, evidence=doubted).followed(0.5)
    assert len(kept) == 4 and kept.sample.tolist() == [6, 7, 8, 9]


def test_configurations_are_checked(tmp_path: Path) -> None:
    assert is_refiner_config(CONFIGS / "teacher.yaml")
    assert not is_refiner_config(CONFIGS / "open-mobile.yaml")
    found = load_refiner_config(CONFIGS / "teacher.yaml", ["schedule.steps=7", "data.train=elsewhere"])
    assert (found.schedule.steps, found.data.train) == (7, "elsewhere")
    for wrong, message in (
        ("schedule.steps=0", "greater than 0"),
        ("data.views=0", "views"),
        ("schedul.steps=1", "schedul"),
    ):
        with pytest.raises(UsageError, match=message):
            load_refiner_config(CONFIGS / "teacher.yaml", [wrong])
