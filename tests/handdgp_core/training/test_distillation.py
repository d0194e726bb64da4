"""A teacher's outputs for frames of the bundled clip, their cache, and a short run that learns from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import ShardInfo, ShardWriter
from handdgp_core.errors import UsageError, WeightsError
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks import load_network
from handdgp_core.networks.checkpoints.refiner_file import save_refiner
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.pose_refiner import PoseRefiner
from handdgp_core.sources.demo import DemoSource
from handdgp_core.sources.protocol import frames
from handdgp_core.training.config import TrainingConfig, load_config
from handdgp_core.training.distillation.teacher import Teacher
from handdgp_core.training.distillation.teacher_outputs import DistilledViews, cached_outputs
from handdgp_core.training.trainer import train
from tests.places import ROOT

CONFIG = ROOT / "configs" / "open.yaml"
COUNT = 8
pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def hands() -> list[LabelledHand]:
    """Rendered hands of the clip, well in view, the wrist and all joints known, no mesh."""
    found = []
    with DemoSource() as source:
        for frame in itertools.islice(frames(source), 40, 40 + 3 * COUNT, 3):
            assert frame.camera is not None
            row = source.truth.rows_of(frame.index)[0]
            keypoints, side = source.truth.keypoints_m[row], source.truth.handedness[row]
            found.append(LabelledHand(frame.image, frame.camera.matrix, keypoints, None, side, f"frame {frame.index}"))
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained teacher: the fit as it is."""
    hand = OpenHand.load()
    path = tmp_path_factory.mktemp("teacher") / "refiner.safetensors"
    save_refiner(PoseRefiner(hand.dof_count, hand.shape_count).eval(), path)
    return path


def pairs(hands: Sequence[LabelledHand], views: int = 1) -> ViewPairs:
    settings = ViewSettings(rotation_deg=15)
    return ViewPairs(hands, len(OpenHand.load().vertices), settings, AppearanceSettings.none(), views)


def silent(done: int, total: int) -> None:
    pass


def test_outputs_are_near_the_truth_and_whole(hands: list[LabelledHand], weights: Path, tmp_path: Path) -> None:
    distilled = DistilledViews(cached_outputs(pairs(hands), "clip", 1, weights, tmp_path, 0, silent))
    assert len(distilled) == COUNT
    own = pairs(hands)
    regressor = torch.from_numpy(OpenHand.load().keypoint_regressor).float()
    for index in range(COUNT):
        output, truth = distilled[index]["view1"], own[index]["view1"]
        assert output["image"].shape == (112, 14, 14) and output["image"].dtype == torch.float16
        torch.testing.assert_close(output["intrinsics"], truth["intrinsics"])
        assert (output["keypoints_uv"] - truth["keypoints_uv"]).norm(dim=-1).mean() < 0.06
        assert (output["root_m"] - truth["root_m"]).norm() < 0.15
        keypoints = regressor @ output["vertices"] * 0.2
        placed = keypoints + output["root_m"]
        plane = placed[:, :2] / placed[:, 2:]
        focal, center = output["intrinsics"][0, 0], output["intrinsics"][:2, 2]
        predicted = (output["keypoints_uv"] * 224 - 0.5 - center) / focal
        assert (plane - predicted).abs().mean() * focal < 6  # pixels: DGP puts the hand where its keypoints are


def test_two_views_share_the_hands_turn(hands: list[LabelledHand], weights: Path, tmp_path: Path) -> None:
    sample = DistilledViews(cached_outputs(pairs(hands, 2), "clip", 1, weights, tmp_path, 0, silent))[0]
    first, second = sample["view1"], sample["view2"]
    assert (first["vertices"] - second["vertices"]).abs().mean() < 0.05
    moved = first["keypoints_uv"] @ sample["uv2_from_uv1"][:, :2].T + sample["uv2_from_uv1"][:, 2]
    assert (moved - second["keypoints_uv"]).abs().mean() < 0.03


def test_outputs_are_kept_and_told_apart(
    hands: list[LabelledHand], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_outputs(pairs(hands), "clip", 1, weights, tmp_path, 0, silent)
    reported: list[tuple[int, int]] = []
    monkeypatch.setattr(Teacher, "outputs", None)  # would be called for what is not there
    assert cached_outputs(pairs(hands), "clip", 1, weights, tmp_path, 0, lambda *told: reported.append(told)) == first
    assert reported == [(COUNT, COUNT)]
    with pytest.raises(TypeError):
        cached_outputs(pairs(hands), "another clip", 1, weights, tmp_path, 0, silent)
    vertices, plain = len(OpenHand.load().vertices), AppearanceSettings.none()
    other_views = ViewPairs(hands, vertices, ViewSettings(rotation_deg=16), plain, 1)
    other_appearance = ViewPairs(hands, vertices, ViewSettings(rotation_deg=15), AppearanceSettings(), 1)
    for other in (other_views, other_appearance):
        with pytest.raises(TypeError):
            cached_outputs(other, "clip", 1, weights, tmp_path, 0, silent)


def test_hands_below_the_least_presence_are_skipped(hands: list[LabelledHand], weights: Path, tmp_path: Path) -> None:
    dark = [LabelledHand(0 * hands[0].image, hands[0].matrix, hands[0].keypoints_m, None, "right", "dark")]
    distilled = DistilledViews(
        cached_outputs(pairs([*hands[:2], *dark, hands[2]]), "some", 1, weights, tmp_path, 0, silent)
    )
    assert distilled.lengths == [3]


def test_without_a_teacher_it_says_how_to_get_one(hands: list[LabelledHand], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"configs/teacher\.yaml"):
        cached_outputs(pairs(hands), "clip", 1, tmp_path / "none.safetensors", tmp_path, 0, silent)


def config(folder: Path, *overrides: str) -> TrainingConfig:
    return load_config(CONFIG, [f"output.folder={folder}", *overrides])


@pytest.mark.slow
def test_a_run_comes_nearer_to_its_teacher(hands: list[LabelledHand], weights: Path, tmp_path: Path) -> None:
    for part in ("train", "validation"):
        ShardWriter(tmp_path / part, ShardInfo(0)).write(0, hands)
    reported: list[tuple[str, int, int]] = []
    result = train(
        config(
            tmp_path,
            f"data.train.0.root={tmp_path / 'train'}",
            f"data.validation.0.root={tmp_path / 'validation'}",
            f"teacher.weights={weights}",
            f"teacher.cache={tmp_path / 'taught'}",
            "data.workers=0",
            "data.batch_size=4",
            "data.validate_every_epochs=12",
            "network.mesh_widths=[80,16,8,8]",
            "network.guide_dropout=0",
            "teacher.guide_steps=60",
            "teacher.guide_batch=8",
            "curriculum.relative.epochs=12",
            "curriculum.relative.warmup_steps=1",
            "curriculum.all.epochs=12",
            "curriculum.all.warmup_steps=1",
        ),
        progress=False,
        loading=lambda *told: reported.append(told),
    )
    assert result.finished and ("training", COUNT, COUNT) in reported and ("validation", COUNT, COUNT) in reported
    trained = load_network(result.folder / "last.safetensors")
    assert isinstance(trained, GuidedHandDGP)
    untrained = GuidedHandDGP(config(tmp_path).network, trained.template).eval()
    views = DistilledViews(sorted((tmp_path / "taught").rglob("*.npy"))[:1])
    batch = [views[index]["view1"] for index in range(len(views))]
    image, matrix = (torch.stack([view[name] for view in batch]) for name in ("image", "intrinsics"))
    target = torch.stack([view["vertices"] for view in batch])
    with torch.no_grad():
        before, after = ((net.relative(image, matrix).vertices - target).abs().mean() for net in (untrained, trained))
    assert after < 0.7 * before
    frozen = trained.backbone.state_dict()
    for name, value in untrained.backbone.state_dict().items():
        torch.testing.assert_close(frozen[name], value, msg=name)


def test_configurations_that_make_no_sense(tmp_path: Path) -> None:
    assert config(tmp_path).teacher.weights
    for wrong, message in (
        ("network.backbone=mediapipe", "mediapipe-guided"),
        ("output.pictures=4", "pictures 0"),
        ("teacher.weights=''", "losses.weights: expected 0"),
        ("teacher.draws=0", "draws: expected a number greater than 0"),
    ):
        with pytest.raises(UsageError, match=message):
            config(tmp_path, wrong)
    assert np.isfinite(config(tmp_path).losses.weights)
