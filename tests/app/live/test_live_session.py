"""The whole program: start, errors nobody caught, Ctrl-C, a hung camera, and its measurement."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from app.application import LiveOptions, LiveSession, make_application
from app.benchmarks import live as live_bench
from app.benchmarks import record as record_bench
from app.settings import load_settings
from handdgp_core.errors import HandDGPError
from tests.app.doubles import ScriptedEstimator, ScriptedSource
from tests.patience import WAIT_MS, WAIT_S, heeding_interrupts
from tests.places import ROOT


@pytest.fixture
def folder_of_images(tmp_path: Path) -> Path:
    """Three pictures that the real image folder source reads."""
    import cv2

    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((120, 160, 3), 60 * number, dtype=np.uint8))
    return folder


def _session(qapp: QApplication, source: Path | str, tmp_path: Path, **estimator: object) -> LiveSession:
    return LiveSession(
        LiveOptions(source=str(source), settings_path=tmp_path / "s.json", viewport=False, loop=True),
        make_estimator=lambda settings: ScriptedEstimator(**estimator),
        application=qapp,
    )


def test_the_command_line_goes_before_the_settings_and_is_remembered(qapp, tmp_path: Path) -> None:
    options = LiveOptions(
        settings_path=tmp_path / "s.json", hand_length_mm=171.0, hand_length_percent=6.0, device="cpu", viewport=False
    )
    session = LiveSession(options, make_estimator=lambda settings: ScriptedEstimator(), application=qapp)
    assert session.settings.current.hand_length_enabled and session.settings.current.device == "cpu"
    session.finish()
    kept, _ = load_settings(tmp_path / "s.json")
    assert kept.hand_length_mm == 171.0 and kept.hand_length_percent == 6.0


def test_damaged_settings_are_told_in_the_window(qapp, qtbot, tmp_path: Path, folder_of_images: Path) -> None:
    (tmp_path / "s.json").write_text("{")
    session = _session(qapp, folder_of_images, tmp_path)
    session.start()
    notice = session.window.notices.notice
    assert notice is not None and "defaults are used" in notice.title
    session.finish()


def test_an_error_nobody_caught_is_shown_and_logged(qapp, qtbot, tmp_path: Path, folder_of_images: Path) -> None:
    session = _session(qapp, folder_of_images, tmp_path)
    session.start()
    try:
        raise LookupError("nobody expects this")
    except LookupError:
        sys.excepthook(*sys.exc_info())
    qtbot.waitUntil(lambda: session.window.notices.notice is not None, timeout=WAIT_MS)
    assert "LookupError: nobody expects this" in session.window.notices.notice.title
    session.finish()
    assert sys.excepthook is not session._hooks._on_exception
    assert "nobody expects this" in (tmp_path / "logs" / "handdgp.log").read_text()


def test_opencv_does_not_point_qt_at_its_own_plugins(qapp, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr("app.application.QApplication", lambda arguments: qapp)
    monkeypatch.setattr(
        "app.application.QApplication.setHighDpiScaleFactorRoundingPolicy", lambda policy: None, raising=False
    )
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(Path(cv2.__file__).parent / "qt" / "plugins"))
    monkeypatch.setenv("QT_QPA_FONTDIR", "/my/own/fonts")
    make_application()
    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
    assert os.environ["QT_QPA_FONTDIR"] == "/my/own/fonts"


def test_bench_reports_what_was_shown(qapp, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(live_bench, "WARM_UP_S", 0.1)
    session = _session(qapp, "live", tmp_path)
    monkeypatch.setattr(session.controller, "_open_source", lambda spec, settings: ScriptedSource())
    figures = live_bench.measure_live(session.options, 1.0, session, panel="motion")
    assert session.settings.current.panel == "motion"
    assert figures["shown_fps"] > 0 and figures["share_with_hands"] == 1.0
    assert figures["one_hand"]["frames"] > 0 and figures["two_hands"] is None
    assert 0 < figures["one_hand"]["gui_work_ms"]["median"] <= figures["one_hand"]["gui_work_ms"]["max"]
    assert figures["gui_worst_gap_ms"] >= figures["gui_p99_gap_ms"] > 0
    assert figures["memory_start_mb"] > 10 and figures["model"] == "scripted"


def test_bench_of_recording_compares_with_and_without(qapp, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(record_bench, "WARM_UP_S", 0.1)
    session = _session(qapp, "live", tmp_path)
    monkeypatch.setattr(session.controller, "_open_source", lambda spec, settings: ScriptedSource())
    figures = record_bench.measure_recording(session.options, 0.6, session)
    assert figures["frames_lost_by_recorder"] == 0 and figures["frames_in_file"] > 10
    assert figures["shown_fps_recording"] > 0 and figures["shown_fps_without"] > 0
    assert figures["results_in_file"] > 0 and 0 < figures["recorder_cpu_share"] < 2 and figures["seek_worst_ms"] > 0


def test_bench_of_a_source_that_is_not_there_is_an_error(qapp, tmp_path: Path) -> None:
    session = _session(qapp, tmp_path / "none.mp4", tmp_path)
    with pytest.raises(HandDGPError, match=r"none\.mp4"):
        live_bench.measure_live(session.options, 0.5, session)


_PROGRAM = """
    import sys, threading
    from pathlib import Path
    from PyQt6.QtCore import QTimer
    from app import application as live_session
    from tests.app.doubles import ScriptedEstimator, ScriptedSource
    gate = threading.Event()
    hangs = sys.argv[1] == "hangs"
    live_session.open_live_source = lambda *args: ScriptedSource(gate=gate if hangs else None)
    session = live_session.LiveSession(
        live_session.LiveOptions(source="cam", settings_path=Path(sys.argv[2]), viewport=False),
        make_estimator=lambda settings: ScriptedEstimator(),
    )
    session.start()
    wait = session.controller.shutdown
    session.controller.shutdown = lambda: wait(limit_s=0.3)
    session.controller.status_changed.connect(
        lambda status: status.phase.name == "RUNNING" and print("running", flush=True)
    )
    if hangs:
        QTimer.singleShot(600, session.window.close)
    code = session.application.exec()
    session.finish()
    print("after the end", flush=True)
    raise SystemExit(code)
"""


def _start(kind: str, tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_PROGRAM), kind, str(tmp_path / "s.json")],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding_interrupts,
    )


def test_ctrl_c_closes_the_window_in_order(tmp_path: Path) -> None:
    with _start("runs", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=2 * WAIT_S)
    assert process.returncode == 0, errors
    assert "after the end" in output and (tmp_path / "s.json").exists()


def test_a_camera_that_hangs_for_ever_does_not_keep_the_process(tmp_path: Path) -> None:
    with _start("hangs", tmp_path) as process:
        output, errors = process.communicate(timeout=2 * WAIT_S)
    assert process.returncode == 0, errors
    assert "running" in output and "after the end" not in output, "the process ends at once, past the hung thread"
