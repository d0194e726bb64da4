"""Long work on a recording from the window: results for frames that have none, and export; progress and cancel."""

from __future__ import annotations

import csv
from pathlib import Path
from threading import Event

import pytest
from PyQt6.QtCore import Qt

from app.live.state import Phase
from app.notices import Action
from app.panels.transport import completeness
from app.sessions.exporting import export_recorded
from app.window.export_dialog import ABOUT, ExportDialog
from handdgp_core.export.exporter import NAMES
from handdgp_core.sessions import SessionReader
from handdgp_core.sources.session import SessionSource
from tests.app.doubles import ScriptedEstimator, hand
from tests.app.sessions.test_replay import COUNT, write


@pytest.fixture
def window(rig, tmp_path: Path):
    """The window with a recording of 30 frames, of which 27 have a result."""
    path = write(tmp_path / "take.mcap", smoothing_enabled=False)
    rig.sources["take"] = lambda: SessionSource(path)
    made = rig.show()
    rig.start("take")
    rig.until(lambda: made.result is not None and rig.controller.status.phase is Phase.RUNNING)
    return made


def test_the_count_is_honest_and_the_button_completes_the_results(rig, window, qtbot, tmp_path: Path) -> None:
    transport = window.sessions.transport
    assert transport.held.text() == "30 frames; results for 27"
    qtbot.mouseClick(transport.complete, Qt.MouseButton.LeftButton)
    rig.until(lambda: window.notices.notice is not None)
    notice = window.notices.notice
    assert notice.title == "Completed: results for 30 of 30 frames." and notice.action is Action.REPLAY
    assert notice.path == tmp_path / "take-completed.mcap" and window.tasks.strip.isHidden()
    with SessionReader(notice.path) as read:
        assert read.result_count == COUNT
    rig.sources[str(notice.path)] = lambda: SessionSource(notice.path)
    window.notices.action.click()
    rig.until(lambda: transport.held.text() == "30 frames")
    assert transport.complete.isHidden() and not window.actions_by_name["complete"].isEnabled()


def test_frames_that_the_source_dropped_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "take.mcap")
    with SessionReader(path) as session:
        session.closing["missed_by_source"] = "98"
        assert completeness(session) == "30 of 128 frames; results for 27"


def test_completing_shows_its_progress_and_can_be_cancelled(rig, window, qtbot) -> None:
    gate = Event()

    class Waiting(ScriptedEstimator):
        def estimate(self, frame, camera):
            if frame.index == 25:
                gate.wait()
            return super().estimate(frame, camera)

    rig.estimator = Waiting(hands=[hand()])
    window.tasks.complete()
    rig.until(lambda: window.tasks.strip.progress.value() > 700)
    assert window.tasks.strip.isVisible() and not window.actions_by_name["complete"].isEnabled()
    qtbot.mouseClick(window.tasks.strip.cancel, Qt.MouseButton.LeftButton)
    gate.set()
    rig.until(lambda: window.notices.notice is not None)
    assert window.notices.notice.title == "Cancelled: results for 29 of 30 frames."


def test_closing_the_window_ends_the_work(rig, window) -> None:
    rig.estimator = ScriptedEstimator(hands=[hand()], slow_s=0.05)
    window.tasks.complete()
    window.close()
    assert not window.stuck_threads


def test_export_asks_for_formats_part_and_folder(rig, window, qtbot, tmp_path: Path) -> None:
    rig.playback.mark(0, 5)
    rig.playback.mark(1, 14)
    window.actions_by_name["export_session"].trigger()
    dialog = window.findChild(ExportDialog)
    assert set(dialog.formats) == set(NAMES) == set(ABOUT), "each has a title and a sentence"
    assert (dialog.first.value(), dialog.last.value(), dialog.how_many.text()) == (5, 14, "10 frames")
    for box in dialog.formats.values():
        box.setChecked(False)
    assert not dialog.export.isEnabled(), "there is nothing to write"
    dialog.formats["csv"].setChecked(True)
    dialog.last.setValue(3)
    assert not dialog.export.isEnabled(), "the end is before the start"
    dialog.last.setValue(14)
    qtbot.mouseClick(dialog.export, Qt.MouseButton.LeftButton)
    rig.until(lambda: window.notices.notice is not None)
    notice = window.notices.notice
    assert notice.title == "Exported: 10 frames, 9 hands, 1 file." and "1 frame without a result" in notice.text
    with (notice.folder / "hands.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["frame_index"]) for row in rows] == [5, 6, 7, 8, 10, 11, 12, 13, 14]
    assert notice.folder.parent == tmp_path / "out"


def test_a_cancelled_export_keeps_what_is_written(tmp_path: Path) -> None:
    cancelled = Event()
    path = write(tmp_path / "take.mcap")

    def stop(share: float) -> None:
        if share >= 0.5:
            cancelled.set()

    with SessionReader(path) as session:
        done = export_recorded(session, tmp_path / "out", ["csv", "npz"], progress=stop, cancelled=cancelled)
    assert done.is_cancelled and done.frames == 15 and done.files == 2
    assert (tmp_path / "out" / "predictions.npz").is_file()


def test_an_export_that_fails_says_so(rig, window, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    window.actions_by_name["export_session"].trigger()
    dialog = window.findChild(ExportDialog)
    dialog.folder.setText(str(tmp_path / "file"))
    dialog.export.click()
    rig.until(lambda: window.notices.notice is not None)
    assert str(tmp_path / "file") in window.notices.notice.title and not window.tasks.busy
