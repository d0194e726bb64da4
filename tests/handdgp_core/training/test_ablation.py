"""Table 1 as a command: its rows, a table on data of FreiHAND's layout, and going on with one that was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.errors import UsageError
from handdgp_core.hands.topology.template import build_template
from handdgp_core.training import ablation, trainer
from handdgp_core.training.ablation import load_ablation, rows
from tests.handdgp_core.datasets.test_datasets import freihand
from tests.meshes import patch_regressor, round_mesh

__all__ = ["freihand"]  # a fixture
SMALL = [
    *("network.image_size=32", "network.backbone=resnet18", "network.mesh_widths=[32, 32, 32, 32]"),
    *(
        "network.spiral_length=3",
        "network.weight_latent=16",
        "data.batch_size=4",
        "data.workers=0",
        "data.validation=[]",
        "data.train.0.limit=4",
    ),
    *("curriculum.relative.epochs=1", "curriculum.all.epochs=1", "augmentation.patch_size=96"),
    *("hardware={accelerator: cpu, precision: 32}", "output.pictures=0", "output.checkpoint_every_steps=1"),
]


def table_file(folder: Path, root: Path) -> Path:
    overrides = [*SMALL, f"data.train.0.root={root}"]
    content = {
        "name": "table",
        "folder": str(folder / "runs"),
        "set": overrides,
        "networks": {"HandDGP": "configs/freihand-r50.yaml", "CMR": "configs/cmr-r18.yaml"},
        "evaluation": {"name": "freihand", "root": str(root), "split": "evaluation"},
    }
    path = folder / "table.yaml"
    path.write_text(json.dumps(content))  # which is YAML
    return path


def test_the_rows_are_those_of_the_supplement(tmp_path: Path) -> None:
    found = rows(load_ablation(Path("configs/table1.yaml"), (f"folder={tmp_path}",)))
    assert [(row.network, row.rectified, row.end_to_end) for row in found] == [
        (network, rectified, end_to_end)
        for network in ("HandDGP", "CMR")
        for rectified in (False, True)
        for end_to_end in (False, True)
    ]
    for row in found:
        config = row.config
        assert config.network.rectification.policy == ("published" if row.rectified else "none")
        assert config.curriculum.all.end_to_end == row.end_to_end
        assert config.network.kind == ("cmr" if row.network == "CMR" else "handdgp")
    assert len({row.config.run_folder for row in found}) == 8


def test_a_row_with_rectification_needs_one(tmp_path: Path) -> None:
    table = load_ablation(Path("configs/table1.yaml"), ("set=['network.rectification.policy=none']",))
    with pytest.raises(UsageError, match="rectification"):
        rows(table)


def test_only_rows_that_there_are(tmp_path: Path) -> None:
    table = load_ablation(Path("configs/table1.yaml"), (f"folder={tmp_path}", "only=[CMR-round]"))
    with pytest.raises(UsageError, match="no row CMR-round") as found:
        ablation.run_ablation(table, print)
    assert "CMR-plain-apart" in str(found.value)


def test_the_table_of_a_desk_differs_in_size_alone(tmp_path: Path) -> None:
    small, paper = (
        rows(load_ablation(Path(f"configs/{name}.yaml"), (f"folder={tmp_path}",)))
        for name in ("table1-synthetic", "table1")
    )
    for own, other in zip(small, paper, strict=True):
        assert own.config.name == other.config.name
        assert own.config.losses == other.config.losses and own.config.curriculum.all.end_to_end == own.end_to_end
        assert own.config.network.rectification.policy == other.config.network.rectification.policy
        assert own.config.network.template == "open" and own.config.network.resnet_width == 16


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_table_on_freihands_layout_and_going_on_with_it(
    freihand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    points, faces = round_mesh(778)
    template = build_template("mano", points, faces, patch_regressor(points, 21), cache=False)
    monkeypatch.setattr(trainer, "open_template", lambda name, folder: template)
    trained: list[str] = []

    def counted(config: Any, **options: Any) -> Any:
        trained.append(config.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return trainer.train(config, progress=False, **options)

    monkeypatch.setattr(ablation, "train", counted)
    path = table_file(tmp_path, freihand)
    assert main(["ablation", "--config", str(path)]) not in (DONE, BAD_INPUT)
    assert len(trained) == 3 and not (tmp_path / "runs/table/table.md").exists()
    assert main(["ablation", "--config", str(path)]) == DONE
    assert trained[3] == trained[2] and len(trained) == 3 + 6  # two rows were done
    lines = (tmp_path / "runs/table/table.md").read_text().splitlines()
    assert (tmp_path / "runs/table/CMR-plain-apart/relative.ckpt").is_file()
    assert not (tmp_path / "runs/table/CMR-plain-end-to-end/relative.ckpt").exists()  # it had no first stage
    assert len(lines) == 2 + 8 and "of 2 |" in lines[2] and lines[2].startswith("| HandDGP | no | no |")
    assert main(["ablation", "--config", str(path)]) == DONE and len(trained) == 9
    other = ["--set", "evaluation.limit=1"]
    assert main(["ablation", "--config", str(path), *other]) == BAD_INPUT
    assert "another configuration" in capsys.readouterr().err
