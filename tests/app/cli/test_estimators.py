"""Which engine a command gets for how many frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.estimators import load_estimator
from handdgp_core.estimation import estimator, models
from handdgp_core.estimation.hand_size import MeasuredLength


@pytest.mark.parametrize(
    ("frames", "prepared", "asked", "expected"),
    [
        (10, False, "auto", "pytorch"),
        (10, True, "auto", "auto"),
        (10, False, "onnxruntime", "onnxruntime"),
        (10_000, False, "auto", "auto"),
        (None, False, "auto", "auto"),
    ],
)
def test_a_few_frames_do_not_wait_for_another_engine(
    frames: int | None, prepared: bool, asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[str] = []
    monkeypatch.setattr(models, "is_prepared", lambda _: prepared)
    monkeypatch.setattr(
        estimator.HandEstimator, "from_weights", lambda *_, engine, **__: engines.append(engine), raising=True
    )
    load_estimator("open", "cpu", MeasuredLength(None, 0.0), engine=asked, frames=frames)
    assert engines == [expected]


def test_what_is_no_network_alone_or_no_file_is_not_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path))
    for model in ("landmarks", "open", str(tmp_path / "missing.safetensors")):
        assert not models.is_prepared(model)
