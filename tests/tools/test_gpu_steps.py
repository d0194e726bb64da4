"""The GPU machine's steps: limits, going on, failures; and what is packed for it. What they run stands in here."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from tools.gpu.requirements import closure, wanted
from tools.gpu.steps import OutOfTime, Steps

_HOUR_S = 3600.0
_SLEEPS = "import time; time.sleep(60)"


def _steps(folder: Path, seconds: float = _HOUR_S) -> Steps:
    return Steps(folder, folder, time.monotonic() + seconds)


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_step_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    counts = _python(f"open({str(tmp_path / 'count')!r}, 'a').write('x'); print('said')")
    assert _steps(tmp_path).run("count", counts, 60)["state"] == "done"
    assert _steps(tmp_path).run("count", counts, 60)["code"] == 0
    assert (tmp_path / "count").read_text() == "x"
    assert "said" in (tmp_path / "log.txt").read_text()


def test_a_step_that_fails_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    steps = _steps(tmp_path)
    assert steps.run("bad", _python("raise SystemExit(7)"), 60)["state"] == "failed"
    assert steps.run("good", _python(""), 60)["state"] == "done"
    assert steps.known["bad"]["code"] == 7


def test_a_step_ends_at_its_own_limit(tmp_path: Path) -> None:
    assert _steps(tmp_path).run("slow", _python(_SLEEPS), 1)["state"] == "cut"


def test_a_start_that_ends_leaves_its_step_to_the_next_one(tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        _steps(tmp_path, 2).run("slow", _python(_SLEEPS), 100)
    spent_s = _steps(tmp_path).known["slow"]["seconds"]
    assert 0 < spent_s < 60 and "state" not in _steps(tmp_path).known["slow"]
    assert _steps(tmp_path).run("slow", _python(""), 100)["state"] == "done"
    assert _steps(tmp_path).known["slow"]["seconds"] >= spent_s


def test_what_is_packed_is_what_is_installed_but_for_the_window_and_pytorch() -> None:
    found = closure(wanted(), "3.12")
    assert found["numpy"] == version("numpy") and "mediapipe" in found and "pytest" in found
    assert not {"torch", "pyqt6", "open3d"} & found.keys()
