"""Which engine a network gets, what is kept of the comparison, and what a load costs in memory."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.engines import choice, load_engine
from handdgp_core.engines.agreement import Agreement, sample_crops
from handdgp_core.engines.protocol import describe
from handdgp_core.engines.store import folder
from handdgp_core.errors import UsageError
from handdgp_core.estimation.models import load_predictor
from handdgp_core.networks import HandDGP

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def _never(*_: object) -> bytes:
    raise AssertionError("exported again")


def test_auto_takes_onnx_runtime_on_a_processor_and_remembers(
    open_network: HandDGP, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, matrices = sample_crops(224)
    expected = load_engine(open_network, "pytorch", "cpu").run(images, matrices)
    first = load_engine(open_network, "auto", "cpu")
    monkeypatch.setattr(choice, "onnx_bytes", _never)
    for engine in (first, load_engine(open_network, "auto", "cpu")):
        assert describe(engine) == "ONNX Runtime, CPU"
        found = engine.run(images, matrices)
        np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-5)
        assert found.landmarks is not None and expected.landmarks is not None
        np.testing.assert_allclose(found.landmarks.world_m, expected.landmarks.world_m, atol=1e-6)


def test_a_file_that_is_not_the_one_that_was_compared_is_not_used(plain_network: HandDGP) -> None:
    load_engine(plain_network, "auto", "cpu").close()
    (file,) = folder().glob("*.onnx")
    good = file.read_bytes()
    file.write_bytes(good[:-100] + bytes(100))
    assert load_engine(plain_network, "auto", "cpu").name == "onnxruntime"
    assert file.read_bytes() == good


@pytest.mark.parametrize("far", [Agreement(0.11, 0.0), Agreement(0.0, 0.11), Agreement(np.inf, np.inf)])
def test_auto_leaves_an_engine_alone_whose_hands_are_not_pytorchs(
    plain_network: HandDGP, far: Agreement, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "compare", lambda *_: far)
    with caplog.at_level(logging.WARNING):
        assert load_engine(plain_network, "auto", "cpu").name == "pytorch"
        assert load_engine(plain_network, "onnxruntime", "cpu").name == "onnxruntime"
    assert "PyTorch is used" in caplog.text and "as asked for" in caplog.text


def test_a_network_that_does_not_export_runs_in_pytorch(
    plain_network: HandDGP, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(choice, "onnx_bytes", fails)
    assert load_engine(plain_network, "auto", "cpu").name == "pytorch"
    with pytest.raises(UsageError, match="no such operator"):
        load_engine(plain_network, "onnxruntime", "cpu")


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    plain_network: HandDGP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path / "file"))
    assert load_engine(plain_network, "auto", "cpu").name == "onnxruntime"


def test_what_cannot_be_is_refused(plain_network: HandDGP) -> None:
    with pytest.raises(UsageError, match="no engine 'tpu'"):
        load_engine(plain_network, "tpu")
    with pytest.raises(UsageError, match="does not run landmarks"):
        load_predictor("landmarks", "cpu", "onnxruntime")
    assert load_predictor("landmarks", "cpu").engine == "PyTorch, CPU"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_a_load_leaves_no_memory_behind(open_network: HandDGP) -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    for _ in range(3):
        load_engine(open_network, "onnxruntime", "cpu").close()
    before_mb = resident_mb()
    for _ in range(6):
        load_engine(open_network, "onnxruntime", "cpu").close()
    assert resident_mb() - before_mb < 60  # one frozen graph of PyTorch a load would be 270
