"""The window on scripted parts: what a person does, and what they see."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QApplication

from app.live.state import Phase
from app.settings import load_settings
from app.window.actions import COMMANDS
from app.window.dialogs import AboutDialog, ShortcutsDialog
from app.window.main_window import MainWindow
from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources import WebcamInfo
from tests.app.doubles import ScriptedEstimator, ScriptedSource, degenerate_hand, hand, result


def _showing(rig, source: str = "live") -> MainWindow:
    """The window with a first hand on screen."""
    window = rig.show()
    rig.start(source)
    rig.until(lambda: window.result is not None and bool(window.result.hands))
    return window


def test_picture_figures_weights_and_plots_follow_the_result(rig) -> None:
    window = _showing(rig)
    rig.until(lambda: window.camera.readouts["right"].figure.text() == "31.4 cm")
    assert window.camera.readouts["left"].isHidden() and window.camera.readouts["right"].isVisible()
    assert window.camera.readouts["right"].error.text() == "± 0.4 cm or more"
    assert window.camera.view.has_picture and window.camera.view.message == ("", "")
    rig.until(lambda: window.weights.hand_name.text() == "Right hand")
    assert len(window.motion.history.motion["right"].rows) > 0
    rig.until(lambda: window.shown_rate.per_second > 0)


def test_uncalibrated_badge_names_the_assumed_angle(rig) -> None:
    rig.store.change(assumed_fov_deg=72.0)
    window = _showing(rig)
    rig.until(lambda: window.camera.badge.isVisible())
    assert window.camera.badge.text() == "Assumed 72°: distances ±30 %"
    assert "72°" in window.camera.badge.toolTip() and "Click to calibrate" in window.camera.badge.toolTip()


def test_clicking_a_bar_mutes_the_keypoint_and_shows_the_move(rig, qtbot) -> None:
    window = _showing(rig)
    qtbot.mouseClick(window.weights.bars[8], Qt.MouseButton.LeftButton)
    rig.until(lambda: rig.estimator.muted == {8})
    rig.until(lambda: "z −2.0 mm" in window.weights.shift.text().replace("\N{NO-BREAK SPACE}", " "))
    window.weights.bars[8].setFocus()
    qtbot.keyClick(window.weights.bars[8], Qt.Key.Key_Space)
    rig.until(lambda: rig.estimator.muted == frozenset())
    assert rig.controller.status.phase is Phase.RUNNING, "the space bar on a bar must not pause"


def test_muting_a_finger_and_unmuting_all(rig, qtbot) -> None:
    window = _showing(rig)
    qtbot.mouseClick(window.weights.fingers["ring"], Qt.MouseButton.LeftButton)
    rig.until(lambda: rig.estimator.muted == {13, 14, 15, 16})
    qtbot.mouseClick(window.weights.bars[13], Qt.MouseButton.LeftButton)
    assert window.weights.muted == {14, 15, 16} and not window.weights.fingers["ring"].isChecked()
    qtbot.mouseClick(window.weights.unmute_all, Qt.MouseButton.LeftButton)
    rig.until(lambda: rig.estimator.muted == frozenset())
    assert not window.weights.unmute_all.isEnabled()


@pytest.mark.parametrize(("key", "phase"), [(Qt.Key.Key_Space, Phase.PAUSED)])
def test_space_pauses_and_goes_on(rig, qtbot, key: Qt.Key, phase: Phase) -> None:
    window = _showing(rig)
    qtbot.keyClick(window, key)
    assert rig.controller.status.phase is phase
    assert window.camera.view.message[0] == "Paused"
    assert (
        window.actions_by_name["pause"].text().replace("&", "") == "Play" and window.actions_by_name["step"].isEnabled()
    )
    qtbot.keyClick(window, key)
    assert rig.controller.status.phase is Phase.RUNNING


def test_snapshot_is_written_at_full_size_and_never_replaces_one(rig, qtbot, tmp_path: Path) -> None:
    window = _showing(rig)
    rig.controller.pause()
    time.sleep(0.1)
    qtbot.keyClick(window, Qt.Key.Key_S)
    qtbot.keyClick(window, Qt.Key.Key_S)
    rig.until(lambda: len(list((tmp_path / "out").glob("*.png"))) == 2)
    rig.until(lambda: window.notices.notice is not None)
    first = sorted((tmp_path / "out").glob("*.png"))[0]
    saved = cv2.cvtColor(cv2.imread(str(first)), cv2.COLOR_BGR2RGB)
    assert saved.shape == window.result.frame.image.shape
    assert not np.array_equal(saved, window.result.frame.image), "the overlay must be in the picture"
    assert str(tmp_path / "out") in window.notices.notice.text


def test_export_writes_an_obj_and_says_where(rig, qtbot, tmp_path: Path) -> None:
    window = _showing(rig)
    qtbot.keyClick(window, Qt.Key.Key_E)
    rig.until(lambda: window.notices.notice is not None)
    path = Path(window.notices.notice.text)
    lines = path.read_text().splitlines()
    vertices = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], dtype=float)
    assert path.parent == tmp_path / "out" and path.suffix == ".obj"
    assert len(vertices) == 63 and vertices[:, 2].mean() == pytest.approx(0.314, abs=0.02)
    assert window.notices.action.text() == "Open folder"


def test_export_without_a_hand_says_so(rig) -> None:
    rig.estimator = ScriptedEstimator(hands=[])
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and not window.result.preview)
    window.export_mesh()
    assert "No hand" in window.notices.notice.title


def test_export_to_a_place_that_cannot_be_written_names_the_cure(rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rig.store.change(export_folder=str(tmp_path / "file" / "inside"))
    window = _showing(rig)
    window.export_mesh()
    rig.until(lambda: window.notices.notice is not None)
    assert "another folder" in window.notices.notice.text


def test_mirror_flips_the_picture_alone_and_is_remembered_by_kind(rig, qtbot) -> None:
    rig.store.change(show_mesh=False, show_keypoints=False)
    window = _showing(rig)
    rig.until(lambda: window.result.mirrored)
    assert window.result.picture[60, -3, 0] == 200 and window.result.frame.image[60, 3, 0] == 200
    assert window.result.hands[0].handedness == "right"
    qtbot.keyClick(window, Qt.Key.Key_M)
    rig.until(lambda: not window.result.mirrored)
    assert (rig.settings.mirror_webcam, rig.settings.mirror_files) == (False, False)


def test_degenerate_hand_shows_its_reason_and_no_figure(rig) -> None:
    rig.estimator = ScriptedEstimator(hands=[degenerate_hand("too few valid weights")])
    window = _showing(rig)
    rig.until(lambda: window.camera.readouts["right"].details.text() == "too few valid weights")
    assert window.camera.readouts["right"].figure.text() == "–"
    rig.until(lambda: "too few valid weights" in window.weights.shift.text() or not window.weights.muted)


def test_two_hands_have_a_figure_each(rig) -> None:
    rig.estimator = ScriptedEstimator(hands=[hand(0.5, "left"), hand(0.25, "right")])
    window = _showing(rig)
    rig.until(lambda: window.camera.readouts["left"].figure.text() == "50.0 cm")
    assert window.camera.readouts["right"].figure.text() == "25.0 cm"
    window.motion.side.setCurrentIndex(window.motion.side.findData("left"))
    assert window.weights.hand_name.text() == "Left hand"


def test_no_hand_says_what_to_do(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.panels.camera.NO_HAND_AFTER_S", 0.05)
    rig.estimator = ScriptedEstimator(hands=[])
    window = rig.show()
    rig.start()
    rig.until(lambda: window.camera.view.message[0] == "No hand detected")
    assert "20–80 cm" in window.camera.view.message[1]


def test_unplugging_shows_a_message_and_the_button_opens_again(rig, qtbot) -> None:
    rig.sources["cam"] = lambda: ScriptedSource(lost_at=5)
    window = rig.show()
    rig.start("cam")
    rig.until(lambda: window.notices.isVisible())
    assert window.camera.view.message[0] == "The source stopped"
    rig.sources["cam"] = ScriptedSource
    qtbot.mouseClick(window.notices.action, Qt.MouseButton.LeftButton)
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    assert not window.notices.isVisible()


def test_a_silent_camera_says_that_it_is_being_looked_for(rig) -> None:
    rig.sources["cam"] = lambda: ScriptedSource(silent="scripted disconnected; waiting for it to return")
    window = rig.show()
    rig.start("cam")
    waiting = "scripted disconnected; waiting for it to return"
    rig.until(lambda: window.camera.view.message == ("Waiting for the camera", waiting))


def test_a_black_picture_is_told_while_it_lasts(rig) -> None:
    source = ScriptedSource()
    rig.sources["cam"] = lambda: source
    window = _showing(rig, "cam")
    source.complaint = "scripted gives black pictures"
    rig.until(lambda: window.notices.notice is not None)
    assert window.notices.notice.title == "scripted gives black pictures"
    source.complaint = None
    rig.until(lambda: window.notices.notice is None)


def test_a_video_that_ends_early_says_so_at_its_end(rig) -> None:
    source = ScriptedSource(count=3)
    rig.sources["clip"] = lambda: source
    window = rig.show()
    source.complaint = "scripted ends early: 3 of 60 frames could be read"
    rig.start("clip")
    rig.until(lambda: rig.controller.status.phase is Phase.ENDED)
    rig.until(lambda: window.notices.notice is not None)
    assert window.notices.notice.title == source.complaint
    window._refresh_figures()
    assert window.notices.notice is not None


def test_errors_are_shown_as_text_and_not_as_markup(rig) -> None:
    rig.sources["<b>x"] = SourceError("No video: <b>x & more.", hint="Choose <another>.")
    window = rig.show()
    rig.start("<b>x")
    rig.until(lambda: window.notices.isVisible())
    assert "&lt;b&gt;x &amp; more" in window.notices.text.text() and "&lt;another&gt;" in window.notices.text.text()


def test_details_open_without_blocking(rig, qtbot) -> None:
    rig.estimator = ScriptedEstimator(fails_at=1)
    window = rig.show()
    rig.start()
    rig.until(lambda: window.notices.isVisible())
    qtbot.mouseClick(window.notices.details, Qt.MouseButton.LeftButton)
    dialogs = [child for child in window.children() if type(child).__name__ == "DetailsDialog"]
    assert len(dialogs) == 1 and dialogs[0].isVisible()
    dialogs[0].close()


def test_help_names_every_shortcut(rig, qtbot) -> None:
    window = rig.show()
    rig.until(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_F1)
    dialog = next(child for child in window.children() if isinstance(child, ShortcutsDialog))
    assert dialog.isVisible()
    texts = " ".join(label.text() for label in dialog.findChildren(type(window.weights.hand_name)))
    for command in COMMANDS.values():
        if command.keys:
            assert command.tip in texts
    dialog.close()
    window.actions_by_name["about"].trigger()
    about = next(child for child in window.children() if isinstance(child, AboutDialog))
    about.close()


def test_no_two_commands_share_a_key() -> None:
    keys = [key for command in COMMANDS.values() for key in command.keys]
    assert len(keys) == len(set(keys))


def drop(window: MainWindow, path: str) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(path)])
    window.dropEvent(
        QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
    )


def test_a_dropped_file_is_opened(rig) -> None:
    window = rig.show()
    rig.start(None)
    rig.sources["/tmp/clip.mp4"] = ScriptedSource
    drop(window, "/tmp/clip.mp4")
    rig.until(lambda: rig.opened == ["/tmp/clip.mp4"])


def test_a_dropped_calibration_or_checkpoint_is_no_source(rig, tmp_path: Path) -> None:
    window = _showing(rig)
    Camera.assumed(160, 120, 70.0).save(tmp_path / "c.YAML")
    drop(window, str(tmp_path / "c.YAML"))
    drop(window, "/tmp/mine.safetensors")
    assert rig.settings.calibration_path == str(tmp_path / "c.YAML") and rig.settings.model == "/tmp/mine.safetensors"
    assert rig.opened == ["live"]


def test_space_pauses_after_clicks_into_lists_and_buttons(rig, qtbot) -> None:
    window = _showing(rig)
    window.activateWindow()
    for widget in (window.sources, window.scene.views, window.scene.parts, window.form.clear_button, window.form.theme):
        assert not widget.focusPolicy() & Qt.FocusPolicy.ClickFocus
    window.sources.setFocus()
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    qtbot.keyClick(window.sources, Qt.Key.Key_Space)
    assert rig.controller.status.phase is Phase.PAUSED


def test_auto_stays_with_one_of_two_hands(rig) -> None:
    window = rig.show()
    sides = []
    for index in range(92):
        scores = (0.9, 0.91) if index % 2 else (0.91, 0.9)
        both = [replace(hand(side=side), score=score) for side, score in zip(("left", "right"), scores, strict=True)]
        window.motion.add(result(both, index))
        sides.append(window.motion.shown_side)
    assert len(set(sides)) == 1
    other = next(side for side in ("left", "right") if side != sides[0])
    window.motion.add(result([hand(side=other)], 93))
    assert window.motion.shown_side == sides[0], "a hand missed for a moment is still the one"
    window.motion.add(result([hand(side=other)], 93 + 60))
    assert window.motion.shown_side == other


def test_webcams_are_listed_by_name_and_the_first_is_opened(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "app.window.main_window.list_webcams", lambda: [WebcamInfo(2, "Desk camera", "/dev/video2", "id")]
    )
    rig.sources["2"] = ScriptedSource
    window = rig.show()
    rig.start(None)
    window.open_any_source()
    rig.until(lambda: rig.opened == ["2"])
    assert window.sources.findText("Desk camera") >= 0
    rig.until(lambda: window.sources.currentText() == "Desk camera")


def test_without_a_webcam_the_demo_is_shown_and_that_is_said(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.window.main_window.list_webcams", list)
    rig.sources["demo"] = lambda: ScriptedSource(rendered=True)
    window = rig.show()
    rig.start(None)
    window.open_any_source()
    rig.until(lambda: window.camera.demo_badge.isVisible())
    assert window.camera.demo_badge.text() == "Rendered demo"
    assert "No webcam" in window.notices.notice.title and "Connect a webcam" in window.notices.notice.text


def test_settings_reach_the_model_and_survive_a_restart(rig) -> None:
    window = _showing(rig)
    window.form.hand_length_enabled.setChecked(True)
    window.form.hand_length_mm.setValue(190.5)
    window.form.max_hands.setValue(1)
    window.form.steadiness.setValue(80)
    rig.until(lambda: rig.estimator.hand_length_m == pytest.approx(0.1905) and rig.estimator.max_hands == 1)
    assert rig.controller.options.smoothing.min_cutoff_hz < 3.0
    window.resize(1200, 700)
    window.close()
    kept, warnings = load_settings(rig.path)
    assert not warnings and kept.hand_length_mm == 190.5 and kept.hand_length_enabled and kept.steadiness == 80
    assert kept.recent_sources == ("live",) and kept.window_geometry and kept.window_layout


def test_a_layout_that_is_nonsense_is_ignored(rig) -> None:
    rig.store.change(window_geometry="not base64!", window_layout="AAAA")
    window = rig.show()
    assert window.isVisible() and window.width() >= window.minimumWidth()


def test_closing_while_the_worker_is_busy_ends_everything(rig) -> None:
    rig.estimator = ScriptedEstimator(slow_s=0.3)
    window = rig.show()
    rig.start()
    rig.until(lambda: rig.estimator.calls > 0)
    window.close()
    assert window.stuck_threads == []
    assert json.loads(rig.path.read_text())["recent_sources"] == ["live"]


def test_closing_with_a_hung_camera_names_the_thread(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    rig.sources["hung"] = lambda: ScriptedSource(gate=gate)
    window = rig.show()
    rig.start("hung")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    shutdown = rig.controller.shutdown
    monkeypatch.setattr(rig.controller, "shutdown", lambda: shutdown(limit_s=0.2))
    window.close()
    assert window.stuck_threads == ["capture"]
    gate.set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_repaint_the_window(rig, theme: str) -> None:
    window = _showing(rig)
    index = window.form.theme.findData(theme)
    window.form.theme.setCurrentIndex(index)
    window.form.theme.activated.emit(index)
    QApplication.processEvents()
    shot = window.grab().toImage().pixelColor(window.width() - 20, window.height() - 5)
    assert (shot.lightness() < 128) == (theme == "dark")


def test_nothing_is_clipped_at_the_smallest_size(rig) -> None:
    window = _showing(rig)
    window.resize(window.minimumSize())
    QApplication.processEvents()
    rig.until(lambda: window.camera.readouts["right"].figure.text() == "31.4 cm")
    assert (window.width(), window.height()) == (700, 420)
    for label in (window.camera.readouts["right"].figure, window.weights.hand_name):
        assert label.width() >= label.sizeHint().width()


@pytest.mark.parametrize(
    ("action", "question"),
    [("open", "ask_video"), ("open_folder", "ask_image_folder"), ("open_url", "ask_url")],
)
def test_what_is_answered_is_opened_and_no_answer_opens_nothing(
    rig, monkeypatch: pytest.MonkeyPatch, action: str, question: str
) -> None:
    answers = ["", "chosen"]
    monkeypatch.setattr(f"app.window.file_dialogs.{question}", lambda *about: answers.pop(0))
    rig.sources["chosen"] = ScriptedSource
    window = rig.show()
    rig.start(None)
    window.actions_by_name[action].trigger()
    assert rig.controller.status.phase is Phase.IDLE
    window.actions_by_name[action].trigger()
    rig.until(lambda: rig.opened == ["chosen"])


def test_a_chosen_folder_is_remembered(rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("app.window.file_dialogs.ask_output_folder", lambda parent, folder: str(tmp_path / "new"))
    window = _showing(rig)
    window.actions_by_name["export_folder"].trigger()
    window.export_mesh()
    rig.until(lambda: len(list((tmp_path / "new").glob("*.obj"))) == 1)


def test_a_hand_outside_of_the_models_view_is_reported_as_long_as_it_is(rig) -> None:
    window = _showing(rig)
    rig.estimator.hands = [replace(hand(), in_view=0.12)]
    rig.until(lambda: window.notices.notice is not None)
    assert "12 %" in window.notices.notice.title
    rig.estimator.hands = [hand()]
    rig.until(lambda: window.notices.notice is None)


def test_a_hand_where_the_lens_has_no_answer_does_not_vanish_without_a_word(rig) -> None:
    window = _showing(rig)
    rig.estimator.hands, rig.estimator.beyond_lens = [], 1
    rig.until(lambda: window.notices.notice is not None)
    assert "no answer" in window.notices.notice.title and "calibrate" in window.notices.notice.text
    rig.estimator.beyond_lens = 0
    rig.until(lambda: window.notices.notice is None)
