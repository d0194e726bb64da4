"""`evaluate` on miniatures of the public sets: which solve, joints and crops, and what is refused early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.evaluation import labelled
from handdgp_core.evaluation.summary import Pairs
from handdgp_core.hands.topology.template import build_template
from handdgp_core.networks import HandDGP, save_network
from tests.handdgp_core.datasets.test_datasets import freihand, ho3d, human36m
from tests.meshes import SMALL_NETWORK, patch_regressor, round_mesh, small_template

__all__ = ["freihand", "ho3d", "human36m"]  # fixtures


def network_file(folder: Path, vertices: int, positioning: str = "published") -> Path:
    torch.manual_seed(0)
    if vertices == 778:
        points, faces = round_mesh(vertices)
        template = build_template("ball", points, faces, patch_regressor(points, 21), cache=False)
    else:
        template = small_template()
    path = folder / f"{vertices}.safetensors"
    save_network(HandDGP(SMALL_NETWORK.model_copy(update={"positioning": positioning}), template), path)
    return path


def solved(depths_m: dict[str, float]) -> dict[str, Pairs]:
    """Two hands whose root each solve puts at a depth of its own."""
    found = {method: Pairs() for method in depths_m}
    for method, depth_m in depths_m.items():
        for number in range(2):
            hand, mesh = np.zeros((21, 3)) + [0, 0, depth_m], np.zeros((778, 3)) + [0, 0, depth_m]
            found[method].add(np.zeros((21, 3)) + [0.01 * number, 0, 0.5], hand, None, None, mesh)
    return found


@pytest.mark.parametrize("positioning", ["published", "refined"])
def test_a_submission_holds_the_solve_that_the_network_is_meant_for(
    positioning: str, freihand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def evaluated(*arguments: Any, **options: Any) -> dict[str, Pairs]:
        given.update(options)
        return solved({"published": 0.6, "refined": 0.9})

    monkeypatch.setattr(labelled, "evaluate_network", evaluated)
    model, target = network_file(tmp_path, 778, positioning), tmp_path / "pred.json"
    arguments = ["evaluate", "--dataset", "freihand", "--root", str(freihand), "--model", str(model)]
    assert main([*arguments, "--output", str(tmp_path / "m.json"), "--submission", str(target)]) == DONE
    assert json.loads(target.read_text())[0][0][0][2] == {"published": 0.6, "refined": 0.9}[positioning]
    assert given["protocol"] == "mobrecon" == json.loads((tmp_path / "m.json").read_text())["protocol"]


def test_what_no_server_takes_is_refused_before_the_run(
    freihand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(labelled, "evaluate_network", lambda *_, **__: pytest.fail("it ran"))
    common = ["evaluate", "--dataset", "freihand", "--root", str(freihand), "--output", str(tmp_path / "m.json")]
    submission = ["--submission", str(tmp_path / "pred.json")]
    other = ["--model", str(network_file(tmp_path, 162))]
    for arguments, said in (
        ([*submission, *other], "778"),
        (submission, "--model"),  # the whole program
        ([*submission, "--model", str(network_file(tmp_path, 778)), "--limit", "1"], "--limit"),
        ([*other, "--protocol", "tight"], "mobrecon"),
        (["--protocol", "keypoints"], "--protocol"),
        ([*other, "--hand-length-mm", "18"], "50 to 300"),
    ):
        assert main([*common, *arguments]) == BAD_INPUT
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "demo", "--limit", "2"],
        ["--dataset", "frames", "--root", "{tmp}", "--split", "training"],
        ["--dataset", "shards", "--root", "{tmp}", "--hand-length-mm", "180"],
        ["--dataset", "shards", "--root", "{tmp}", "--leave-out", "3"],
    ],
    ids=lambda value: value[-2],
)
def test_an_option_that_would_change_nothing_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    assert main(["evaluate", *filled, "--output", str(tmp_path / "m.json")]) == BAD_INPUT
    assert f"{arguments[-2]} changes nothing" in capsys.readouterr().err


def test_ho3d_is_scored_by_its_root_without_manos_file(ho3d: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.json"
    arguments = ["evaluate", "--dataset", "ho3d", "--root", str(ho3d), "--output", str(output)]
    assert main([*arguments, "--model", str(network_file(tmp_path, 162))]) == DONE
    content = json.loads(output.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["protocol"] == "keypoints"
    for figures in content["positioning"].values():
        assert figures["joints_excluded"] == [] and figures["root_mm"]["count"] == figures["found"]
