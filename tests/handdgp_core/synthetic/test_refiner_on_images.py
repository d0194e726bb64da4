"""From drawn pictures to a trained file and to tables, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from app.cli.main import main
from handdgp_core.augmentation import AppearanceSettings, ViewSettings
from handdgp_core.datasets.shards import Shards
from handdgp_core.synthetic.rendering.renderer import HandRenderer
from handdgp_core.training.teacher.data import load_set
from tests.places import ROOT

pytest.importorskip("anny", reason="anny is not installed (extra train)")
from tests.handdgp_core.synthetic.small_shards import small_shards

pytestmark = [pytest.mark.gl, pytest.mark.slow]
CONFIG = ROOT / "configs" / "teacher.yaml"


@pytest.fixture(scope="module")
def drawn(renderer_maker: type[HandRenderer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    small_shards(folder / "train", 1, 8)
    small_shards(folder / "validation", 2, 4)
    return folder


def test_views_are_kept_and_used_again(drawn: Path, tmp_path: Path) -> None:
    shards = Shards(drawn / "train")
    heard: list[tuple[int, int]] = []
    settings = (ViewSettings(patch_size=160), AppearanceSettings())
    first = load_set(shards, tmp_path, 2, 0, *settings, lambda done, total: heard.append((done, total)))
    assert heard == [(8, 16), (16, 16)] and len(first) == 16
    files = sorted(tmp_path.rglob("*.pt"))
    stamps = [file.stat().st_mtime_ns for file in files]
    again = load_set(shards, tmp_path, 2, 0, *settings, lambda done, total: None)
    assert [file.stat().st_mtime_ns for file in files] == stamps and len(files) == 2
    for one, other in zip(first.evidence, again.evidence, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.evidence.pixels[:8], first.evidence.pixels[8:])  # the views differ
    load_set(shards, tmp_path, 1, 1, *settings, lambda done, total: None)  # another seed: computed anew
    assert len(list(tmp_path.rglob("*.pt"))) == 3


def test_labels_of_a_view_project_to_its_keypoints(drawn: Path, tmp_path: Path) -> None:
    plain = (ViewSettings().steady(), AppearanceSettings.none())
    found = load_set(Shards(drawn / "train"), tmp_path, 1, 0, *plain, lambda done, total: None)
    placed = found.labels["keypoints_m"] + found.labels["root_m"][:, None]
    pixels = placed @ found.labels["intrinsics"].transpose(1, 2)
    uv = (pixels[..., :2] / pixels[..., 2:] + 0.5) / 224
    np.testing.assert_allclose(uv.numpy(), found.labels["keypoints_uv"].numpy(), atol=1e-4)


def test_the_first_pictures_alone_can_be_used(drawn: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice"
    shutil.copytree(drawn / "train", twice)
    for kind in ("jpgs", "npy"):
        shutil.copy(twice / f"shard-00000.{kind}", twice / f"shard-00001.{kind}")
    plain = (ViewSettings(patch_size=160).steady(), AppearanceSettings.none())
    for limit, count in ((None, 16), (1, 8), (8, 8), (9, 16)):
        heard: list[int] = []
        found = load_set(Shards(twice), tmp_path, 1, 0, *plain, lambda done, total, to=heard: to.append(total), limit)
        assert len(found) == count and heard[-1] == count


def test_train_and_evaluate_from_the_command_line(drawn: Path, tmp_path: Path) -> None:
    settings = {
        "data.train": drawn / "train",
        "data.validation": drawn / "validation",
        "data.cache": tmp_path / "cache",
        "data.views": 1,
        "data.least_presence": 0.0,
        "schedule.steps": 3,
        "schedule.batch_size": 4,
        "output": tmp_path / "runs",
    }
    arguments = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    assert main(["train", "--config", str(CONFIG), *arguments]) == 0
    refiner = tmp_path / "runs" / "teacher" / "refiner.safetensors"
    assert refiner.is_file()
    assert main(["train", "--config", str(CONFIG), *arguments]) == 2  # never over an earlier run
    for model in ("open", "landmarks", str(refiner)):
        output = tmp_path / f"{Path(model).stem}.json"
        command = ["evaluate", "--dataset", "shards", "--root", str(drawn / "train"), "--model", model]
        assert main([*command, "--output", str(output)]) == 0
        tables = json.loads(output.read_text())["tables"]
        assert tables["all"]["count"] == 8
        for kind in ("distance_m", "palm_angle_deg", "skin_tone", "hidden_part", "hand_length_mm"):
            assert sum(row["count"] for row in tables[kind].values()) == 8, kind
        assert set(tables["mean_weight"]) == {"visible", "behind_a_hand", "behind_a_thing", "outside"}
