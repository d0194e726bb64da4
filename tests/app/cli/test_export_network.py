"""`export-network` and `--engine` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from app.cli.main import main

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_it_writes_a_file_with_a_licence_and_says_how_it_agrees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "open.onnx"
    assert main(["export-network", "open", "--output", str(path), "--dgp"]) == 0
    said = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert said["licence"] == "Apache-2.0" and said["positioning"] == "refined" and said["origin"] == "open"
    assert "mm of root" in capsys.readouterr().err


def test_a_model_that_is_no_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-network", "landmarks", "--output", str(tmp_path / "a.onnx")]) == 2
    assert "no network by itself" in capsys.readouterr().err and not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("engine, shown", [("pytorch", "PyTorch, CPU"), ("onnxruntime", "ONNX Runtime, CPU")])
def test_the_summary_says_what_ran(engine: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path / "cache"))
    command = ["process", "demo", "--output", str(tmp_path / "out"), "--limit", "2", "--engine", engine]
    assert main([*command, "--device", "cpu"]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["engine"] == shown
