"""`train`, then `evaluate`, `process` and `bench` with what came out: the whole way by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import ShardInfo, ShardWriter
from handdgp_core.networks import load_network
from tests.handdgp_core.training.rendered_hands import RenderedHands
from tests.places import ROOT

TINY = str(ROOT / "configs" / "tiny.yaml")

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rendered hands."""
    hands = RenderedHands(6, size=128, two_views=False)
    folder = tmp_path_factory.mktemp("shards")
    samples = []
    for number in range(len(hands)):
        view = hands[number]["view1"]
        image = (view["image"].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        placed = hands.vertices[number] + hands.root[number], hands.keypoints[number] + hands.root[number]
        samples.append(LabelledHand(image, view["intrinsics"].double().numpy(), placed[1], placed[0]))
    ShardWriter(folder, ShardInfo(vertices=hands.vertices.shape[1], origin="a test")).write(0, samples)
    return folder


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run through both stages."""
    folder = tmp_path_factory.mktemp("runs")
    settings = [
        f"data.train=[{{name: shards, root: {shards}}}]",
        f"data.validation=[{{name: shards, root: {shards}}}]",
        "data.batch_size=3",
        "curriculum.relative.epochs=1",
        "curriculum.all.epochs=1",
        f"output.folder={folder}",
    ]
    assert main(["train", "--config", TINY, *(part for setting in settings for part in ("--set", setting))]) == DONE
    return folder / "tiny"


def test_a_run_ends_with_a_network_that_opens(run: Path) -> None:
    network = load_network(run / "last.safetensors")
    assert network.template.vertex_count == 1609
    assert (run / "config.yaml").is_file() and list((run / "csv").rglob("metrics.csv"))


def test_a_network_is_evaluated_on_labelled_crops_with_a_report(run: Path, shards: Path, tmp_path: Path) -> None:
    model, figures, report = run / "last.safetensors", tmp_path / "m.json", tmp_path / "report"
    arguments = ["evaluate", "--dataset", "shards", "--root", str(shards), "--model", str(model)]
    assert main([*arguments, "--output", str(figures), "--report", str(report), "--limit", "5"]) == DONE
    found = json.loads(figures.read_text())["positioning"]
    assert found["refined"]["hands"] == found["published"]["hands"] == 5
    assert "of 5 hands found" in (report / "report.html").read_text()


def test_the_program_runs_with_the_network(run: Path, tmp_path: Path) -> None:
    arguments = [
        "process",
        "demo",
        "--output",
        str(tmp_path),
        "--every",
        "60",
        "--model",
        str(run / "last.safetensors"),
    ]
    assert main(arguments) == DONE
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["model"].endswith("last.safetensors") and summary["frames"] > 5


def test_networks_are_timed(tmp_path: Path) -> None:
    for what, figure in (("network", "median_ms"), ("training", "images_per_s")):
        output = tmp_path / f"{what}.json"
        small = ["--set", "data.batch_size=2", "--seconds", "1", "--output", str(output)]
        assert main(["bench", what, "--config", TINY, *small]) == DONE
        assert json.loads(output.read_text())[figure] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--config", "missing.yaml"], "missing.yaml"),
        (["train", "--config", TINY, "--set", "network.backbone=resnet19"], "resnet18"),
        (["train", "--config", TINY, "--set", "nonsense"], "nonsense"),
        (["train", "--config", TINY, "--resume"], "--resume"),
        (["bench", "network"], "--config"),
        (["evaluate", "--dataset", "freihand", "--root", "{tmp}", "--output", "{tmp}/m.json"], "lmb.informatik"),
        (["evaluate", "--dataset", "ho3d", "--root", "{tmp}", "--output", "{tmp}/m.json"], "tugraz"),
        (["import-weights", "{tmp}/no.ckpt", "--template", "{tmp}", "--output", "{tmp}/x.safetensors"], "no.ckpt"),
    ],
    ids=lambda value: "-".join(value[:3]).replace("/", "_")[:40] if isinstance(value, list) else "",
)
def test_bad_usage_says_what_to_do(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == BAD_INPUT
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown
