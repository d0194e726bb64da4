"""The calibration wizard, from the badge to the saved profile, on a camera that is rendered."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QRect, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QFileDialog, QInputDialog, QMessageBox, QWidget

from app.live.state import Phase
from app.wizards.board_window import BoardWindow
from app.wizards.calibration import BOARD, CAPTURE, REVIEW, CalibrationDialog
from app.wizards.calibration_view import swap_sides
from app.wizards.check import CheckDialog
from calib.boards import DEFAULT_BOARD, Board
from calib.poses import look_at
from calib.profiles import ProfileStore, load_views, new_profile
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.webcam import LensState
from tests.app.wizards.rendered_camera import CAMERA, RenderedCamera


class Person:
    """Holds the board where the wizard asks for it, once the picture shows the outline."""

    def __init__(self) -> None:
        self.pose, self.asked = None, 0

    def __call__(self):
        self.asked += 1
        return self.pose


@pytest.fixture
def person(rig):
    holds = Person()
    rig.sources["rendered"] = lambda: RenderedCamera(DEFAULT_BOARD, holds)
    return holds


def opened(rig) -> CalibrationDialog:
    window = rig.show()
    rig.start("rendered")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    window.wizards.follow_badge()
    dialog = window.wizards.dialog
    assert isinstance(dialog, CalibrationDialog)
    rig.until(lambda: dialog.view.has_picture)
    return dialog


def follow(rig, dialog, person, count):
    """Show what is asked for until so many views are taken."""
    session = dialog._worker._session
    while len(dialog._snapshot.taken) < count:
        before = len(dialog._snapshot.taken)
        person.pose = session.next_pose(CAMERA.size).pose
        rig.until(lambda before=before: len(dialog._snapshot.taken) > before)


def test_from_the_badge_to_a_saved_profile(rig, person):
    dialog = opened(rig)
    assert dialog.pages.currentIndex() == BOARD and not dialog.back.isEnabled()
    dialog.next.click()
    assert dialog.pages.currentIndex() == CAPTURE
    follow(rig, dialog, person, 9)
    assert dialog.capture.bars["views"].format() == "9 (8 needed)"
    assert "focal length known" in dialog.capture.figure.text()
    dialog.next.click()
    assert dialog.pages.currentIndex() == REVIEW
    rig.until(lambda: dialog.review.views.topLevelItemCount() == 9)
    assert dialog.review.save_button.isEnabled()
    dialog.review.save_button.click()
    rig.until(lambda: "Saved" in dialog.message.text())
    profile = ProfileStore().profiles()[0]
    assert profile.key.identity == "rendered-camera-1" and profile.key.autofocus == 0.0
    assert len(load_views(profile.folder)) == 9
    np.testing.assert_allclose(profile.camera.focal_px, CAMERA.focal_px, rtol=0.005)
    assert rig.controller.options.calibration.focal_px == profile.camera.focal_px
    dialog.close()
    # The next time the camera is opened, its profile is in use without a question.
    rig.controller.open_source("rendered")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    assert rig.controller.profile.match.kind == "exact"
    assert rig.window.form.calibration.placeholderText() == "stored for this camera"
    assert rig.controller.options.calibration.focal_px == profile.camera.focal_px


def test_the_review_shows_figures_pictures_and_the_lens_that_can_be_chosen(rig, person):
    dialog = opened(rig)
    dialog.next.click()
    follow(rig, dialog, person, 7)
    dialog.next.click()
    review = dialog.review
    rig.until(lambda: review.views.topLevelItemCount() == 7)
    assert review.save_button.isDefault() and not dialog.next.isDefault()
    assert review.figures.text().startswith("fx ") and "k1 " in review.figures.text()
    assert review.lens_note.text().startswith("Lens model plumb_bob: ")
    assert dialog.left.currentWidget() is dialog.picture and dialog.picture.has_picture
    worst = max(dialog._snapshot.taken, key=lambda view: view.rms_px)
    assert dialog.picture._view is worst and worst.fit.far.shape == (len(worst.fit.view),)
    review.views.setCurrentItem(review.views.topLevelItem(2))
    assert dialog.picture._view is dialog._snapshot.taken[2]
    dialog.picture.grab()
    choose_lens(review, "fisheye")
    rig.until(lambda: dialog._snapshot.solution.lens.name == "fisheye")
    rig.until(lambda: "as you chose" in review.lens_note.text())
    assert dialog.picture._view is dialog._snapshot.taken[2]
    choose_lens(review, "automatic")
    rig.until(lambda: dialog._snapshot.solution.lens.name == "plumb_bob")
    dialog.show_step(CAPTURE)
    assert dialog.left.currentWidget() is dialog.view and dialog.next.isDefault()
    dialog._unsaved = False
    dialog.close()


def choose_lens(review, name):
    index = next(i for i in range(review.lens.count()) if review.lens.itemText(i).startswith(name))
    review.lens.setCurrentIndex(index)
    review.lens.activated.emit(index)


def test_undo_key_and_dropping_a_view(rig, person, monkeypatch):
    dialog = opened(rig)
    dialog.next.click()
    dialog.capture.auto.setChecked(False)
    person.pose = look_at(DEFAULT_BOARD, 0.45)
    rig.until(dialog.capture.take_button.isEnabled)
    assert not dialog._snapshot.taken
    for count in range(1, 5):
        person.pose, asked_before = look_at(DEFAULT_BOARD, 0.4, 0.5, count * 1.5), person.asked
        # Frames of the new pose alone are under way then, and the board is found in them.
        rig.until(lambda before=asked_before: person.asked > before + 4)
        rig.until(dialog.capture.take_button.isEnabled)
        QTest.keyClick(dialog, Qt.Key.Key_Space)
        rig.until(lambda count=count: len(dialog._snapshot.taken) == count)
    QTest.keyClick(dialog, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    rig.until(lambda: len(dialog._snapshot.taken) == 3)
    dialog.show_step(REVIEW)
    rig.until(lambda: dialog.review.views.topLevelItemCount() == 3)
    dialog.review.views.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    rig.until(lambda: "Fewer than three" in dialog.review.headline.text())
    assert not dialog.review.save_button.isEnabled()
    asked = []
    monkeypatch.setattr(QMessageBox, "question", lambda *a: asked.append(a) or QMessageBox.StandardButton.Cancel)
    dialog.close()
    assert asked and dialog.isVisible()
    rig.window.close()
    assert rig.window.isVisible() and dialog.isVisible()
    monkeypatch.setattr(QMessageBox, "question", lambda *a: QMessageBox.StandardButton.Close)
    dialog.close()


def test_frontal_views_are_refused_with_what_to_do(rig, person):
    dialog = opened(rig)
    dialog.next.click()
    for far in (0.36, 0.5, 0.7):
        person.pose = look_at(DEFAULT_BOARD, far)
        before = len(dialog._snapshot.taken)
        rig.until(lambda before=before: len(dialog._snapshot.taken) > before)
    dialog.next.click()
    rig.until(lambda: "squarely" in dialog.review.headline.text())
    assert "tilted" in dialog.review.notes.text()
    assert not dialog.review.save_button.isEnabled()
    dialog._unsaved = False
    dialog.close()


def test_the_frames_go_back_to_the_model(rig, person):
    dialog = opened(rig)
    calls = rig.estimator.calls
    QTest.qWait(100)
    assert rig.estimator.calls <= calls + 1
    dialog.close()
    rig.until(lambda: rig.estimator.calls > calls + 3)


def test_a_camera_that_will_not_lock_its_focus_is_told(rig, person):
    rig.sources["rendered"] = lambda: RenderedCamera(DEFAULT_BOARD, person, LensState(1.0, 30.0, 100.0))
    dialog = opened(rig)
    assert "lock the focus" in dialog.boards.lens.text()
    dialog.boards.focus.setChecked(True)
    rig.until(lambda: "cannot be turned off" in dialog.boards.lens.text())
    assert rig.settings.webcam_lock_focus
    dialog.close()


def test_a_derived_profile_is_marked_and_another_shape_is_not_used(rig, person):
    rig.show()
    key = replace(camera_key(), width=1280, height=720)
    store = ProfileStore()
    views = [view_of()]
    store.save(new_profile(key, CAMERA.scaled_to(1280, 720), DEFAULT_BOARD, "Good", 0.1), views)
    rig.start("rendered")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    assert rig.controller.options.calibration.derived_from is not None
    assert any("check it" in notice.title for notice in rig.notices)
    rig.until(lambda: ", at 640 × 360" in rig.window.camera.badge.text())


def camera_key():
    from app.live.camera_profiles import camera_key as key_of

    source = RenderedCamera(DEFAULT_BOARD, lambda: None)
    return key_of(source)


def view_of():
    from tools.calibration.simulation import simulated_view

    return simulated_view(DEFAULT_BOARD.points_m, look_at(DEFAULT_BOARD, 0.4), CAMERA, 0.05, np.random.default_rng(0))


def checked(rig, person, camera):
    rig.show()
    rig.start("rendered")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    rig.controller._calibration = lambda: camera  # also when a setting changes later
    rig.controller._set_options(calibration=camera)
    rig.window.wizards.check()
    dialog = rig.window.wizards.dialog
    assert isinstance(dialog, CheckDialog)
    person.pose = look_at(DEFAULT_BOARD, 0.36)
    rig.until(lambda: "Tilt the board" in dialog.answer.text())
    person.pose = look_at(DEFAULT_BOARD, 0.36, 0.6, 0.4)
    return dialog


def test_the_check_confirms_a_calibration_that_holds(rig, person):
    dialog = checked(rig, person, CAMERA)
    rig.until(lambda: "holds" in dialog.answer.text())
    dialog.close()


def test_the_check_finds_a_calibration_that_does_not(rig, person):
    matrix = CAMERA.matrix.copy()
    matrix[:2, :2] *= 1.25
    dialog = checked(rig, person, Camera(640, 360, matrix, CAMERA.distortion))
    rig.until(lambda: "does not fit" in dialog.answer.text())
    dialog._again()
    follow_up = rig.window.wizards.dialog
    assert isinstance(follow_up, CalibrationDialog)
    rig.until(lambda: follow_up._snapshot.look is not None)  # the frames have not gone back to the model
    follow_up.close()


def test_board_to_print_and_on_screen(rig, person, tmp_path, monkeypatch):
    dialog = opened(rig)
    path = tmp_path / "board.pdf"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(path), ""))
    monkeypatch.setattr("app.wizards.board_tools.QDesktopServices.openUrl", lambda url: None)
    dialog.tools.print("a4")
    assert path.read_bytes().startswith(b"%PDF")
    window = BoardWindow(DEFAULT_BOARD, dialog.screen())
    window.show()
    assert window.width_px() <= window.width() * window.devicePixelRatioF()
    grabbed = window.grab().toImage()
    assert grabbed.pixelColor(2, 2).lightness() > 250
    monkeypatch.setattr(QInputDialog, "getDouble", lambda *a: (208.0, True))
    window.close()
    dialog.boards.screen_requested.emit(0)
    gc.collect()
    (shown,) = [one for one in QApplication.topLevelWidgets() if isinstance(one, BoardWindow) and one is not window]
    assert shown.isVisible() and dialog.boards.ruler.value() == 100.0, "nothing is asked while it can be measured"
    QTest.keyClick(shown, Qt.Key.Key_Escape)
    rig.until(lambda: dialog.boards.ruler.value() == pytest.approx(80.0))
    assert dialog.boards.chosen_board().size_mm[0] == pytest.approx(208.0)
    dialog.boards.board.setEditText("nonsense")
    assert not dialog.next.isEnabled() and not dialog.boards.problem.isHidden()
    dialog.close()


def test_no_dialog_is_larger_than_its_screen(rig, person):
    dialog = opened(rig)
    room = dialog.screen().availableSize()  # 800 x 800 without a display: less than the usual 1180 x 720
    assert dialog.width() <= room.width() and dialog.height() <= room.height()
    dialog.close()


class _Screen:
    """As much of a screen as a window is placed by."""

    def __init__(self, width: int) -> None:
        self.width = width

    def availableGeometry(self) -> QRect:
        return QRect(0, 0, self.width, 1000)

    def physicalDotsPerInchX(self) -> float:
        return 96.0


@pytest.mark.parametrize(("room", "beside"), [(1600, True), (700, False)])
def test_the_board_leaves_the_wizard_its_place_where_there_is_one(qtbot, monkeypatch, room, beside):
    wizard, screen = QWidget(), _Screen(room)
    wizard.setMinimumWidth(500)
    wizard.resize(1200, 700)
    window = BoardWindow(DEFAULT_BOARD, wizard.screen())
    qtbot.addWidget(wizard)
    for widget in (wizard, window):
        monkeypatch.setattr(widget, "screen", lambda: screen)
    wizard.show()
    window.show_beside(wizard)
    assert window.isFullScreen() != beside
    if beside:
        assert window.geometry().right() < wizard.geometry().left() and wizard.geometry().right() < room
        assert window.width() >= 0.3 * room
    window.close()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("chessboard:9x6:25", "a chessboard with 9 × 6 inner corners"),
        ("charuco:7x5:36:26:6x6_250", "a ChArUco board with 6x6 markers"),
    ],
)
def test_another_board_than_the_chosen_one_is_named(rig, person, held, said):
    board = Board.parse(held)
    rig.sources["rendered"] = lambda: RenderedCamera(board, person)
    dialog = opened(rig)
    dialog.next.click()
    rig.until(lambda: "Show the board" in dialog.capture.state.text())
    person.pose = look_at(board, 0.45, 0.15, 0.8)
    rig.until(lambda: said in dialog.capture.state.text())
    dialog._unsaved = False
    dialog.close()


def test_export_and_its_refusal(rig, person, tmp_path):
    dialog = opened(rig)
    dialog.next.click()
    follow(rig, dialog, person, 3)
    assert dialog.write_file(str(tmp_path / "camera.yaml"), "ros")
    assert Camera.load(tmp_path / "camera.yaml").std is not None
    assert not dialog.write_file(str(Path("/nowhere/camera.yaml")), "ros")
    assert "nowhere" in dialog.message.text()
    dialog._unsaved = False
    dialog.close()


def test_words_follow_the_mirror():
    assert (
        swap_sides("Move it to the top left, right edge tilted away")
        == "Move it to the top right, left edge tilted away"
    )
