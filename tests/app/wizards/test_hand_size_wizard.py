"""The hand size wizard: a rendered hand on the board, a ruler, people, and what it does to the depth."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from app.live.readout import length_shift_m, palm_distance
from app.live.state import Phase
from app.wizards.hand_drawing import HandDrawing
from app.wizards.hand_size import HandSizeDialog
from calib.boards import DEFAULT_BOARD
from calib.people import PeopleStore
from calib.poses import look_at
from calib.sheet import A4
from handdgp_core.estimation.bone_length import hand_length_from_bone
from handdgp_core.estimation.hand_size import fused
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.sources.protocol import BaseSource
from handdgp_core.types import Frame
from tests.app.doubles import hand
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import BOARD, CAMERA
from tests.calib.test_sheet import SheetUnderHand


class HandCamera(BaseSource):
    """A hand on the board, from a few places straight above."""

    is_live = True
    name, identity, pixel_format = "hand camera", "hand-camera-1", "MJPG"

    def __init__(self, pictures) -> None:
        super().__init__()
        self._pictures, self._index, self._closed = pictures, 0, threading.Event()

    @property
    def size(self):
        return CAMERA.size

    def read(self, timeout_s: float = 0.5) -> Frame | None:
        if self._closed.wait(0.005):
            return None
        self._index += 1
        return Frame(self._pictures[self._index % len(self._pictures)], self._index * 33_000_000, self._index)

    def close(self) -> None:
        self._closed.set()


@pytest.fixture(scope="module")
def laid():
    made, random = HandImage(DEFAULT_BOARD, CAMERA, 1.0), np.random.default_rng(2)
    poses = [look_at(DEFAULT_BOARD, 0.42, 0.1, turn, 0.05) for turn in (0.5, 2.1, 3.7, 5.3)]
    return made, [made.render(pose, 0.05, random) for pose in poses]


def opened(rig, camera=CAMERA) -> HandSizeDialog:
    window = rig.show()
    rig.start("live" if camera is None else "hand")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    if camera is not None:
        camera.save(rig.path.with_name("camera.yaml"))
        rig.controller.use_calibration(str(rig.path.with_name("camera.yaml")))
    window.wizards.hand_size()
    dialog = window.wizards.dialog
    assert isinstance(dialog, HandSizeDialog)
    return dialog


def test_a_rendered_hand_is_measured_to_three_percent_and_used(rig, laid):
    made, pictures = laid
    rig.sources["hand"] = lambda: HandCamera(pictures)
    dialog = opened(rig)
    dialog.person.setEditText("Ada")
    rig.until(dialog.save_button.isEnabled)
    dialog.save_button.click()
    person = PeopleStore().people()[0]
    assert person.name == "Ada" and person.method == "board"
    assert person.length_mm == pytest.approx(length_of_chain(made.length_m) * 1e3, rel=0.03)
    assert f"± {person.percent:.1f} %" in dialog.answer.text()
    assert rig.settings.hand_length_enabled and rig.settings.person == "Ada"
    assert rig.controller.options.hand_length_m == pytest.approx(person.length_mm / 1e3, abs=1e-3)
    dialog.close()


def test_a_ruler_will_do_without_a_calibrated_camera(rig, qtbot):
    dialog = opened(rig, camera=None)
    assert dialog.under.currentText().startswith("A4")  # needs none
    dialog.under.setCurrentIndex(0)
    assert "calibrate the camera first" in dialog.state.text()
    assert not dialog.save_button.isEnabled()
    dialog.ruler_button.click()
    assert "needs a name" in dialog.message.text()
    dialog.person.setEditText("Bo")
    dialog.ruler.setValue(191)
    dialog.ruler_button.click()
    assert rig.controller.options.hand_length_m == pytest.approx(0.191)
    assert rig.window.form.hand_length_mm.value() == 191
    assert rig.controller.options.hand_length_std == pytest.approx(0.015)
    drawing = HandDrawing()
    qtbot.addWidget(drawing)
    drawing.resize(240, 230)
    drawing.show()
    shades = {drawing.grab().toImage().pixelColor(x, y).rgb() for x in range(0, 240, 5) for y in range(0, 230, 5)}
    assert len(shades) > 2
    dialog.close()


def test_on_a_sheet_of_paper_no_calibration_is_needed(rig):
    made, random = SheetUnderHand(A4), np.random.default_rng(4)
    # One picture: which of several a slow machine gets to see is chance, and a hand that moved is measured anew.
    pictures = [made.picture(look_at(BOARD, 0.56, 0.1, 0.5, 0.05), random)[0]]
    rig.sources["live"] = lambda: HandCamera(pictures)
    dialog = opened(rig, camera=None)
    dialog.person.setEditText("Di")
    rig.until(dialog.save_button.isEnabled)
    dialog.save_button.click()
    person = PeopleStore().people()[0]
    assert person.method == "sheet" and person.percent > 4.4  # a guessed focal length is counted
    assert person.length_mm == pytest.approx(length_of_chain(made.length_m) * 1e3, rel=0.04)
    dialog.close()


def test_one_bone_by_a_ruler_gives_the_length_and_says_how_certain_it_is(rig):
    dialog = opened(rig, camera=None)
    dialog.person.setEditText("Cy")
    dialog.bone.setCurrentIndex(dialog.bone.findData("middle"))
    assert (
        dialog.ruler.value() == pytest.approx(92.3) and "first joint to finger tip" in dialog.drawing.accessibleName()
    )
    dialog.ruler.setValue(83)
    wanted = fused([hand_length_from_bone("middle", 0.083)])
    assert f"{wanted.length_m * 1e3:.0f} mm ± {200 * wanted.std:.0f} %" in dialog.ruler_answer.text()
    dialog.ruler_button.click()
    assert rig.controller.options.hand_length_m == pytest.approx(wanted.length_m, abs=1e-4)
    assert rig.controller.options.hand_length_std == pytest.approx(wanted.std)
    assert PeopleStore().people()[0].percent == pytest.approx(200 * wanted.std)
    # A second bone and then the whole hand add to what is known.
    dialog.bone.setCurrentIndex(dialog.bone.findData("palm"))
    dialog.ruler.setValue(90)
    dialog.ruler_button.click()
    two = fused([hand_length_from_bone("middle", 0.083), hand_length_from_bone("palm", 0.090)])
    assert rig.controller.options.hand_length_std == pytest.approx(two.std) and two.std < wanted.std
    dialog.bone.setCurrentIndex(0)
    dialog.ruler.setValue(171)
    dialog.ruler_button.click()
    assert rig.controller.options.hand_length_m == pytest.approx(0.171, abs=0.002)
    assert "from middle 83 mm by ruler, palm 90 mm by ruler, hand 171 mm by ruler" in dialog.known.text()
    dialog.ruler.setValue(172)  # measured again: it replaces the first
    dialog.ruler_button.click()
    assert len(PeopleStore().person("Cy").measurements) == 3
    dialog.forget_button.click()
    assert PeopleStore().people() == [] and not rig.settings.hand_length_enabled and not rig.settings.person
    dialog.close()


def test_a_bare_hand_is_honestly_not_measured(rig):
    dialog = opened(rig, camera=None)
    dialog.under.setCurrentIndex(dialog.under.count() - 1)
    assert "bare hand cannot be measured" in dialog.state.text() and not dialog.save_button.isEnabled()
    assert dialog.progress.isHidden()
    dialog.close()


def test_a_length_that_is_typed_has_a_rulers_error_and_is_nobodys(rig):
    window = rig.show()
    rig.store.change(person="Ada", hand_length_enabled=True, hand_length_mm=180.0, hand_length_percent=9.0)
    assert rig.settings.hand_length_percent == 9.0 and rig.settings.person == "Ada"
    window.form.hand_length_mm.setValue(191.0)
    assert (rig.settings.hand_length_percent, rig.settings.person) == (3.0, "")


def test_the_panel_says_how_much_the_hand_length_moved_the_depth(rig):
    seen = hand(0.33)
    assert length_shift_m(seen) is None
    from dataclasses import replace

    larger = replace(seen, hand_scale=1.1)
    distance = palm_distance(larger).meters
    assert length_shift_m(larger) == pytest.approx(distance - distance / 1.1)
    window = rig.show()
    readout = window.camera.readouts["right"]
    readout.show_hand(larger, palm_distance(larger), None)
    assert "hand size: +30 mm" in readout.details.text()
