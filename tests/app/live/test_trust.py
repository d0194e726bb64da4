"""A calibration belongs to a camera, and the picture always says which one, and which hand size, is in use."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from app.live.camera_profiles import BY_NUMBER, choose_profile
from app.live.state import Phase
from app.live.trust import CalibrationInUse, camera_trust, hand_trust
from app.notices import Action, Severity
from app.settings import Settings
from calib.boards import DEFAULT_BOARD
from calib.profiles import CameraKey, ProfileStore, new_profile
from calib.views import View
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import with_camera
from tests.app.doubles import HEIGHT, WIDTH, ScriptedSource, frame, result

DAY_S = 86_400.0
LONG = replace(Camera.assumed(WIDTH, HEIGHT, 40.0), source="calibrated", name="C920")
WIDE = replace(Camera.assumed(WIDTH, HEIGHT, 90.0), source="calibrated", name="C920")


class Webcam(ScriptedSource):
    """A live source that is a camera."""

    def __init__(self, identity: str, name: str) -> None:
        super().__init__(name=name)
        self.identity = identity


def stored(identity: str, name: str, camera: Camera, days_ago: float = 0.0) -> None:
    key = CameraKey(identity, WIDTH, HEIGHT, name=name)
    profile = new_profile(key, camera, DEFAULT_BOARD, "Good", 0.1)
    view = View(np.arange(4, dtype=np.int32), np.zeros((4, 2)), (WIDTH, HEIGHT), "a")
    ProfileStore().save(replace(profile, created_s=time.time() - days_ago * DAY_S), [view])


def used(camera: Camera):
    return result(frame=with_camera(frame(), camera))


def test_the_chip_names_camera_and_age() -> None:
    for days, words in [(0.2, "today"), (1.1, "1 day ago"), (12.5, "12 days ago"), (100, "3 months ago")]:
        chip = camera_trust(used(LONG), CalibrationInUse("C920", 1e9), 1e9 + days * DAY_S)
        assert chip.text == f"Calibrated: C920, {words}" and not chip.doubtful


def test_the_chip_of_an_assumed_camera_says_how_wrong_distances_may_be() -> None:
    chip = camera_trust(used(Camera.assumed(WIDTH, HEIGHT, 60.0)), None)
    assert chip.text == "Assumed 60°: distances ±30 %" and chip.doubtful
    upright = camera_trust(used(Camera.assumed(HEIGHT, WIDTH, 60.0)), None)
    assert upright.text == chip.text  # the longer side of a phone held upright


def test_a_source_that_knows_its_camera_says_so() -> None:
    shown = result(frame=with_camera(frame(camera=LONG), LONG))
    assert camera_trust(shown, CalibrationInUse("other")).text == "Camera: known by the source"
    overridden = result(frame=with_camera(frame(camera=LONG), WIDE))
    assert camera_trust(overridden, CalibrationInUse("other.yaml")).text == "Calibrated: other.yaml"


def test_the_chip_of_the_hand() -> None:
    assert hand_trust(Settings()).text == "Hand: average adult"
    mine = hand_trust(Settings(hand_length_enabled=True, hand_length_mm=187.0, person="Ada"))
    assert mine.text == "Hand: 187 mm measured" and "Ada" in mine.details


def test_a_file_belongs_to_the_camera_it_was_loaded_for(rig, tmp_path: Path) -> None:
    stored("usb-b", "Laptop", WIDE, days_ago=12.1)
    LONG.save(tmp_path / "long.yaml")
    os.utime(tmp_path / "long.yaml", (time.time() - 3.1 * DAY_S,) * 2)
    rig.sources.update(a=lambda: Webcam("usb-a", "C920"), b=lambda: Webcam("usb-b", "Laptop"))
    window = rig.show()
    rig.start("a")
    rig.until(lambda: window.result is not None)
    window.load_calibration(str(tmp_path / "long.yaml"))
    rig.until(lambda: window.camera.badge.text() == "Calibrated: C920, 3 days ago")
    assert not [notice for notice in rig.notices if notice.severity is Severity.WARNING]
    window.open_source("b")
    rig.until(lambda: window.camera.badge.text() == "Calibrated: Laptop, 12 days ago")
    assert window.result.camera == WIDE, "another camera's file must not go before the camera's own profile"
    notice = rig.notices[-1]
    assert notice.title == "long.yaml was loaded for usb-a and is not used here."
    assert notice.action is Action.USE_CALIBRATION
    assert window.form.calibration.text() == ""
    window.open_source("a")
    rig.until(lambda: window.camera.badge.text() == "Calibrated: C920, 3 days ago")


def test_one_click_uses_it_for_the_other_and_the_names_are_compared(rig, tmp_path: Path) -> None:
    LONG.save(tmp_path / "long.yaml")
    rig.sources.update(a=lambda: Webcam("usb-a", "C920"), b=lambda: Webcam("usb-b", "Laptop"))
    rig.store.change(calibration_path=str(tmp_path / "long.yaml"), calibration_camera="usb-a")
    window = rig.show()
    rig.start("b")
    rig.until(lambda: window.camera.badge.text() == "Assumed 60°: distances ±30 %")
    rig.until(lambda: window.notices.notice is not None)
    window.notices.action.click()
    rig.until(lambda: window.camera.badge.text().startswith("Calibrated: C920"))
    assert rig.settings.calibration_camera == "usb-b"
    warning = rig.notices[-1]
    assert warning.severity is Severity.WARNING
    assert warning.title == "The file long.yaml is a calibration of “C920”, and this camera is “Laptop”."
    assert "“Laptop”" in window.camera.badge.toolTip()


def test_a_file_of_the_command_line_is_bound_to_the_first_source(rig, tmp_path: Path) -> None:
    LONG.save(tmp_path / "long.yaml")
    rig.store.change(calibration_path=str(tmp_path / "long.yaml"))
    rig.sources.update(a=lambda: ScriptedSource(live=False), b=lambda: ScriptedSource(live=False))
    rig.start("a")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    assert rig.controller.options.calibration == LONG and rig.settings.calibration_camera == "a"
    rig.controller.open_source("b")
    rig.until(lambda: rig.controller.status.spec == "b" and rig.controller.status.phase is Phase.RUNNING)
    assert rig.controller.options.calibration is None


def test_the_same_file_written_again_is_read_again(rig, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    LONG.save(path)
    rig.start()
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    rig.controller.use_calibration(str(path))
    WIDE.save(path)
    os.utime(path, (1e9, 1e9))
    rig.controller.use_calibration(str(path))
    assert rig.controller.options.calibration == WIDE


def test_a_camera_known_by_its_number_alone_is_doubted() -> None:
    stored("0", "camera 0", LONG)
    match = choose_profile(Webcam("0", "camera 0")).match
    assert match.camera == LONG and match.warnings == (BY_NUMBER,)
    stored("usb-a", "C920", LONG)
    assert choose_profile(Webcam("usb-a", "C920")).match.warnings == ()


@pytest.mark.parametrize(("chip", "dialog"), [("badge", "calibrate"), ("hand_badge", "hand_size")])
def test_a_click_on_a_chip_leads_to_its_wizard(rig, qtbot, monkeypatch, chip: str, dialog: str) -> None:
    opened: list[str] = []
    from app.wizards.menu import Wizards

    for name in ("calibrate", "hand_size"):
        monkeypatch.setattr(Wizards, name, lambda self, name=name: opened.append(name))
    window = rig.show()
    rig.start()
    rig.until(lambda: window.camera.badge.isVisible() and window.camera.hand_badge.isVisible())
    qtbot.mouseClick(getattr(window.camera, chip), Qt.MouseButton.LeftButton)
    assert opened == [dialog]
