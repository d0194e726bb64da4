"""Training in two real processes, one of which has nothing to measure: it ends, and it can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.places import ROOT

PATIENCE_S = 240


def started(folder: Path, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.handdgp_core.training.unlabelled_rank", str(folder), str(epochs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def processes_of(session: int) -> list[int]:
    """Those that live in a session."""
    living = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            living.append(int(stat.parent.name))
    return living


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def ended(run: subprocess.Popen[str]) -> str:
    """What it printed; a run that hangs is killed with its children, and fails."""
    try:
        return run.communicate(timeout=PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        pytest.fail(f"it hung: {run.communicate()[0][-2000:]}")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_a_process_without_a_labelled_hand_does_not_hang_the_others(folder: Path) -> None:
    run = started(folder, 1)
    shown = ended(run)
    assert run.returncode == 0, shown[-2000:]
    assert "errors" in shown and "validation/relative_joint_mm" in shown  # of the process that has labels
    assert not processes_of(run.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_a_termination_signal_ends_every_process(folder: Path) -> None:
    run = started(folder, 100_000)
    checkpoint = folder / "tiny" / "best.safetensors"
    deadline = time.monotonic() + PATIENCE_S
    while not checkpoint.exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert checkpoint.exists(), ended(run)[-2000:]
    run.send_signal(signal.SIGTERM)
    ended(run)
    assert run.returncode == 128 + signal.SIGTERM
    while processes_of(run.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = processes_of(run.pid)
    if left:
        os.killpg(run.pid, signal.SIGKILL)
    assert not left
