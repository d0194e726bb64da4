"""Which engine a network gets, what is kept of the comparison, and what a load costs in memory."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.engines import choice, load_engine, preparation
from handdgp_core.engines.agreement import Agreement, sample_crops
from handdgp_core.engines.protocol import describe
from handdgp_core.engines.store import Kept, folder, key_of, recall, remember
from handdgp_core.errors import UsageError
from handdgp_core.estimation.models import OPEN_WEIGHTS, load_predictor
from tests.places import ROOT

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def _never(*_: object) -> Kept:
    raise AssertionError("made ready again")


def test_auto_takes_onnx_runtime_on_a_processor_and_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    images, matrices = sample_crops(224)
    expected = load_engine(OPEN_WEIGHTS, "pytorch", "cpu").run(images, matrices)
    first = load_engine(OPEN_WEIGHTS, "auto", "cpu")
    monkeypatch.setattr(choice, "prepare", _never)
    for engine in (first, load_engine(OPEN_WEIGHTS, "auto", "cpu")):
        assert describe(engine) == "ONNX Runtime, CPU"
        found = engine.run(images, matrices)
        np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-5)
        assert found.landmarks is not None and expected.landmarks is not None
        np.testing.assert_allclose(found.landmarks.world_m, expected.landmarks.world_m, atol=1e-6)


def test_a_network_that_is_ready_for_onnx_runtime_starts_without_pytorch() -> None:
    load_engine(OPEN_WEIGHTS, "auto", "cpu").close()
    program = """if True:
        import sys
        from app.application import load_estimator
        from app.settings import Settings
        with load_estimator(Settings(device="cpu")) as estimator:
            print(estimator.engine, "torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "ONNX Runtime, CPU False\n", done.stderr


def test_a_file_that_is_not_the_one_that_was_compared_is_not_used(plain_file: Path) -> None:
    load_engine(plain_file, "auto", "cpu").close()
    (file,) = folder().glob("*.onnx")
    good = file.read_bytes()
    file.write_bytes(good[:-100] + bytes(100))
    assert load_engine(plain_file, "auto", "cpu").name == "onnxruntime"
    assert recall(key_of(plain_file, "onnxruntime")) is not None


def test_what_is_kept_belongs_to_one_checkpoint_and_one_engine(plain_file: Path, tmp_path: Path) -> None:
    key = key_of(plain_file, "onnxruntime")
    assert key == key_of(plain_file, "onnxruntime") != key_of(plain_file, "onnx")
    other = tmp_path / "other.safetensors"
    other.write_bytes(plain_file.read_bytes() + b" ")
    assert key_of(other, "onnxruntime") != key


@pytest.mark.parametrize("far", [Agreement(0.11, 0.0), Agreement(0.0, 0.11), Agreement(np.inf, np.inf)])
def test_auto_leaves_an_engine_alone_whose_hands_are_not_pytorchs(
    plain_file: Path, far: Agreement, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparation, "compare", lambda *_: far)
    with caplog.at_level(logging.WARNING):
        assert load_engine(plain_file, "auto", "cpu").name == "pytorch"
        assert load_engine(plain_file, "onnxruntime", "cpu").name == "onnxruntime"
    assert "PyTorch is used" in caplog.text and "as asked for" in caplog.text


def test_a_network_that_does_not_export_runs_in_pytorch(plain_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Kept:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(choice, "prepare", fails)
    assert load_engine(plain_file, "auto", "cpu").name == "pytorch"
    with pytest.raises(UsageError, match="no such operator"):
        load_engine(plain_file, "onnxruntime", "cpu")


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    plain_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path / "file"))
    assert load_engine(plain_file, "auto", "cpu").name == "onnxruntime"


def test_who_does_not_wait_gets_pytorch_until_the_other_engine_is_ready(plain_file: Path) -> None:
    images, matrices = sample_crops(224)
    engine = load_engine(plain_file, "auto", "cpu", wait=False)
    assert describe(engine) == "PyTorch, CPU"
    before = engine.run(images, matrices)
    while engine.name == "pytorch":  # at low priority, so for as long as it takes
        time.sleep(0.1)
        assert describe(engine) == "PyTorch, CPU"  # never but at a call of `settle`
        engine.settle()
    assert describe(engine) == "ONNX Runtime, CPU"
    np.testing.assert_allclose(engine.run(images, matrices).vertices, before.vertices, atol=1e-5)
    engine.close()
    assert load_engine(plain_file, "auto", "cpu", wait=False).name == "onnxruntime"


def test_an_engine_that_is_closed_ends_what_makes_the_next_one(plain_file: Path) -> None:
    engine = load_engine(plain_file, "auto", "cpu", wait=False)
    engine.close()
    engine.close()
    assert multiprocessing.active_children() == [] and engine.name == "pytorch"


def test_an_engine_that_differs_never_takes_over(plain_file: Path) -> None:
    remember(key_of(plain_file, "onnxruntime"), Kept(b"never loaded", Agreement(0.2, 0.0)))
    assert load_engine(plain_file, "auto", "cpu", wait=False).name == "pytorch"


def test_what_cannot_be_is_refused(plain_file: Path) -> None:
    with pytest.raises(UsageError, match="no engine 'tpu'"):
        load_engine(plain_file, "tpu")
    with pytest.raises(UsageError, match="does not run landmarks"):
        load_predictor("landmarks", "cpu", "onnxruntime")
    assert load_predictor("landmarks", "cpu").engine == "PyTorch, CPU"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_a_load_leaves_no_memory_behind() -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    for _ in range(3):
        load_engine(OPEN_WEIGHTS, "onnxruntime", "cpu").close()
    before_mb = resident_mb()
    for _ in range(6):
        load_engine(OPEN_WEIGHTS, "onnxruntime", "cpu").close()
    assert resident_mb() - before_mb < 60  # one frozen graph of PyTorch a load would be 270
