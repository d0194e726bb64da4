"""`process` that is ended by a signal, killed, kept from writing, or run twice into one folder: nothing is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.cli.main import main
from app.cli.options import BAD_INPUT, CANCELLED, DONE
from handdgp_core.export import spool
from handdgp_core.geometry.camera import Camera
from tests.painted_hand import paint_hand
from tests.patience import WAIT_S
from tests.places import ROOT


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that no test lives to see the end of."""
    path = tmp_path_factory.mktemp("clip") / "long.avi"
    image, _ = paint_hand(Camera.assumed(640, 480, 60), "right", (0.0, 0.09, 0.4))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for _ in range(4000):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def start(clip: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `process` into tmp_path/out and waits until it has written some rows."""
    begun = []

    def run(*arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "main.py", "process", str(clip), "--output", str(tmp_path / "out"), *arguments]
        running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=before)
        begun.append(running)
        deadline_s = time.monotonic() + WAIT_S
        while rows_in(tmp_path / "out") < 5 and running.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return running

    yield run
    for running in begun:
        running.kill()
        running.wait()
        if running.stderr is not None:
            running.stderr.close()


def rows_in(folder: Path) -> int:
    rows = folder / "predictions.part.mcap"
    return spool.count_rows(rows) if spool.is_spool(rows) else 0


def frames_of(folder: Path) -> list[int]:
    with np.load(folder / "predictions.npz") as table:
        return list(table["frame_index"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_end_in_order(start: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int) -> None:
    running = start("--export", "csv")
    running.send_signal(number)
    _, said = running.communicate(timeout=2 * WAIT_S)
    assert running.returncode == CANCELLED, said
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["cancelled"] and summary["hands"] == len(frames_of(tmp_path / "out")) >= 5
    assert not list((tmp_path / "out").rglob("*.part.*"))


def test_a_closed_terminal_ends_in_order(tmp_path: Path, clip: Path) -> None:
    """The terminal is gone: what is printed there fails from then on."""
    main_end, terminal = os.openpty()
    command = [sys.executable, "main.py", "process", str(clip), "--output", str(tmp_path / "out")]

    def lead() -> None:  # its own session, on the terminal
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with subprocess.Popen(command, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=lead) as run:
        os.close(terminal)
        deadline_s = time.monotonic() + WAIT_S
        while rows_in(tmp_path / "out") < 5 and run.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.1)
        os.close(main_end)
        run.wait(2 * WAIT_S)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cancelled"]
    assert len(frames_of(tmp_path / "out")) >= 5


def test_a_killed_run_is_finished_by_repair(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    running = start("--export", "csv,video")
    running.kill()
    running.wait()
    rows = rows_in(out)
    assert rows >= 5 and not (out / "predictions.npz").exists()
    assert main(["process", str(clip), "--output", str(out)]) == BAD_INPUT  # another run would lose them
    assert "repair" in capsys.readouterr().err and rows_in(out) == rows
    assert main(["repair", str(out)]) == DONE
    said = " ".join(capsys.readouterr().err.split())
    assert f"{rows} hands, {rows} frames" in said and "overlay.part.mp4 was never finished" in said
    assert frames_of(out) == list(range(rows))
    assert len((out / "hands.csv").read_text().splitlines()) - 1 in (rows - 1, rows, rows + 1)
    assert main(["repair", str(out)]) == BAD_INPUT


def test_two_runs_do_not_share_a_folder(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start()
    assert main(["process", str(clip), "--output", str(tmp_path / "out"), "--limit", "1"]) == BAD_INPUT
    assert "another run is writing" in " ".join(capsys.readouterr().err.split())
    assert main(["repair", str(tmp_path / "out")]) == BAD_INPUT
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=2 * WAIT_S)
    assert running.returncode == CANCELLED
    assert frames_of(tmp_path / "out") == list(range(len(frames_of(tmp_path / "out"))))
    assert len(frames_of(tmp_path / "out")) >= 5


def test_a_last_file_that_cannot_be_written_keeps_the_rows(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A limit on the size of files lets the rows through and not the larger table of them."""
    out = tmp_path / "out"
    size = 600_000
    running = start(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    _, said = running.communicate(timeout=2 * WAIT_S)
    said = " ".join(said.split())
    assert running.returncode == BAD_INPUT, said
    rows = rows_in(out)
    assert rows >= 5 or len(frames_of(out)) >= 5
    if rows:
        assert "rows are kept" in said
        assert main(["repair", str(out)]) == DONE
    assert frames_of(out) == list(range(len(frames_of(out))))
