"""Snapshots, meshes, logs, messages and the stall monitor."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from app import logs
from app.benchmarks.stall_monitor import StallMonitor
from app.notices import Action, Severity, notice_of_error
from app.window.saving import file_stem, free_path, save_mesh, save_snapshot
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.errors import OutputError, SourceError, UsageError
from tests.app.doubles import degenerate_hand, result


def test_names_never_collide_and_are_fit_for_any_file_system(tmp_path: Path) -> None:
    stem = file_stem(result(index=7), "rtsp://cam/a?b:c*", datetime(2026, 1, 2, 3, 4, 5))
    assert stem.endswith("-000007-20260102-030405") and not set(stem) & set('\\/:*?"<>| ')
    for expected in ("a.png", "a-2.png", "a-3.png"):
        path = free_path(tmp_path, "a", ".png")
        assert path.name == expected
        path.touch()


def test_snapshot_holds_picture_and_overlay(tmp_path: Path) -> None:
    shown = result()
    path = save_snapshot(shown, OverlayStyle(), tmp_path / "new" / "folder", "shot")
    saved = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    changed = (saved != shown.frame.image).any(axis=2)
    assert saved.shape == shown.frame.image.shape and 0.01 < changed.mean() < 0.9
    np.testing.assert_array_equal(saved[~changed], shown.frame.image[~changed])
    assert [entry.name for entry in path.parent.iterdir()] == ["shot.png"]


def test_a_mesh_needs_a_hand(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        save_mesh(result([degenerate_hand()]), tmp_path, "mesh")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for save in (lambda f: save_mesh(result(), f, "m"), lambda f: save_snapshot(result(), OverlayStyle(), f, "m")):
        with pytest.raises(OutputError):
            save(tmp_path / "file")


def test_known_errors_bring_their_hint_and_others_name_the_log() -> None:
    problem = "Could not open webcam 0: another program is using it."
    known = notice_of_error(SourceError(problem, hint="Close that program."))
    assert known.title == problem and known.text == "Close that program."
    unknown = notice_of_error(ValueError("oops"), action=Action.RETRY, log_path=Path("/logs/x.log"))
    assert (
        unknown.severity is Severity.ERROR
        and "ValueError: oops" in unknown.title
        and "This is a bug." in unknown.text
        and "/logs/x.log" in unknown.text
    )
    assert "ValueError" in unknown.details


def test_log_is_written_and_never_grows_without_end(tmp_path: Path) -> None:
    handler = logs.start_logging(tmp_path / "logs")
    assert handler is not None and handler.maxBytes > 0 and handler.backupCount > 0
    logging.getLogger("app.test").warning("hello")
    logs.stop_logging(handler)
    assert "WARNING" in (tmp_path / "logs" / "handdgp.log").read_text()
    assert handler not in logging.getLogger().handlers


def test_no_place_for_a_log_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert logs.start_logging(tmp_path / "file" / "logs") is None


def test_stall_monitor_sees_a_blocked_thread(qtbot) -> None:
    monitor = StallMonitor()
    monitor.start()
    qtbot.wait(60)
    time.sleep(0.12)
    for _ in range(7):
        monitor.frame_shown()
    qtbot.wait(60)
    monitor.stop()
    report = monitor.report()
    assert report.stalls >= 1 and report.worst_gap_ms >= 115 and report.worst_gap_ms >= report.p99_gap_ms
    assert report.shown_frames == 7 and report.shown_fps == pytest.approx(7 / report.seconds)
    monitor.restart()
    assert monitor.report().stalls == 0


def test_stall_monitor_counts_work_and_not_waiting(qtbot) -> None:
    monitor = StallMonitor()
    monitor.start()
    monitor.frame_shown()
    time.sleep(0.05)  # another's turn
    monitor.frame_shown(kind=1)
    until_s = time.thread_time() + 0.05
    while time.thread_time() < until_s:
        pass
    monitor.frame_shown(kind=2)
    monitor.stop()
    waited, worked = monitor.work(1), monitor.work(2)
    assert waited.frames == worked.frames == 1 and monitor.work(3).frames == 0
    assert waited.max_ms < 50 <= worked.max_ms and waited.fps < 21
    assert monitor.report().work.frames == 2 and monitor.report().work.max_ms == worked.max_ms
