"""Ten views of a bare hand in the window: poses are told apart, views are taken at rest, bones are shown and kept."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.state import Phase
from app.wizards.hand_size import HandSizeDialog
from app.wizards.hand_views import HandViewsDialog, answer_of
from app.wizards.hand_views_worker import LandmarkReader, SeenHand
from app.wizards.menu import HandViewsDialog as OpenedDialog
from app.wizards.view_poses import VIEW_POSES, ViewPose, what_is_wrong
from calib.people import KeptMeasurement, PeopleStore
from handdgp_core.estimation.hand_bones import BoneRatio, HandBones
from handdgp_core.estimation.hand_fit import Observation
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import OpenHand
from tests.painted_hand import BACKGROUND, paint_triangles

CAMERA = Camera.assumed(640, 480)


@pytest.mark.parametrize("number", range(10))
def test_a_pose_is_itself_and_no_other(number: int) -> None:
    copied = [not what_is_wrong(VIEW_POSES[number].points, other) for other in VIEW_POSES]
    assert copied == [other is VIEW_POSES[number] for other in VIEW_POSES]


def test_what_is_wrong_is_said() -> None:
    stretched, bent = VIEW_POSES[0], VIEW_POSES[7]
    assert what_is_wrong(stretched.points, bent) == "Bend the fingers more."
    assert what_is_wrong(bent.points, stretched) == "Stretch the fingers more."
    assert what_is_wrong(VIEW_POSES[1].points, stretched) == "Turn the hand as it is drawn."


class PoseReader:
    """Sees each pose, moving at first, then at rest; a view is a perfect picture of the mean hand."""

    def __init__(self) -> None:
        self.frames, self.closed, self.sides = 0, False, set()

    def read(self, image, camera, side) -> SeenHand:
        self.sides.add(side)
        self.frames += 1
        number, since = divmod(self.frames, 20)
        points = VIEW_POSES[min(number, 9)].points
        placed = points + (0.0, 0.05, 0.45)
        pixels = 400 * placed[:, :2] / placed[:, 2:] + 112 + (10.0 * self.frames if since < 4 else 0.0)
        matrix = np.array([[400.0, 0, 112], [0, 400, 112], [0, 0, 1]])
        still = 400 * placed[:, :2] / placed[:, 2:] + 112
        length = np.array([0.181])
        seen = Observation(points[None], still[None], matrix[None], None, length, np.array([0.05]))
        return SeenHand(pixels, side or "left", seen)

    def close(self) -> None:
        self.closed = True


def opened(rig, reader: PoseReader) -> HandViewsDialog:
    rig.show()
    rig.start()
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    dialog = HandViewsDialog(rig.controller, rig.store, make_reader=lambda: reader, parent=rig.window)
    dialog.show()
    return dialog


def test_ten_views_are_taken_and_their_bones_kept_and_no_number_changes(rig) -> None:
    PeopleStore().save("Ada", 190.0, 3.0, (KeptMeasurement("index_proximal", 42.0, 0.0, 1.0),))
    rig.store.change(person="Ada", hand_length_enabled=True, hand_length_mm=190.0, hand_length_percent=3.0)
    reader = PoseReader()
    dialog = opened(rig, reader)
    rig.until(lambda: dialog.bones is not None)
    assert dialog.progress.value() == 10 and all(abs(bone.ratio - 1) < 0.05 for bone in dialog.bones.bones)
    text = dialog.answer.toPlainText()
    assert "The views agree." in text and "No bone differs" in text and "190 mm (Ada)" in text and "42" in text
    dialog.save_button.click()
    kept = PeopleStore().person("Ada")
    assert len(kept.bones) == len(dialog.bones.bones) and kept.length_mm == rig.settings.hand_length_mm == 190.0
    assert rig.settings.hand_length_percent == 3.0 and rig.controller.options.hand_length_m == 0.19
    # A length measured again keeps them.
    assert PeopleStore().save("Ada", 191.0, 3.0, kept.measurements).bones == kept.bones
    reader.frames = 9 * 20  # the last pose again
    dialog.retake.click()
    rig.until(lambda: dialog.bones is None)
    assert not dialog.save_button.isEnabled()
    rig.until(lambda: dialog.bones is not None)
    assert dialog.close()
    rig.until(lambda: reader.closed and not rig.controller._diverted)


def test_the_side_of_the_first_view_holds_and_without_a_person_nothing_is_kept(rig) -> None:
    reader = PoseReader()
    dialog = opened(rig, reader)
    rig.until(lambda: dialog.bones is not None)
    assert reader.sides == {None, "left"} and dialog.drawing._mirrored is not dialog.view.mirrored
    assert "as long as a mean adult's" in dialog.answer.toPlainText() and not dialog.save_button.isEnabled()
    assert dialog.close()


def test_a_view_can_be_taken_although_the_pose_is_another(rig) -> None:
    reader = PoseReader()
    reader.frames = 3 * 20  # the fourth pose, though the first is wanted
    dialog = opened(rig, reader)
    rig.until(lambda: "Turn the hand" in dialog.words.text())
    dialog.take_button.click()
    rig.until(lambda: dialog.progress.value() == 1)
    assert dialog.close()


def test_the_hand_size_wizard_leads_to_them(rig, monkeypatch) -> None:
    assert OpenedDialog is HandViewsDialog
    reader = PoseReader()
    monkeypatch.setattr("app.wizards.hand_views_worker.LandmarkReader.__init__", lambda self: None)
    monkeypatch.setattr("app.wizards.hand_views_worker.LandmarkReader.read", lambda self, *seen: reader.read(*seen))
    monkeypatch.setattr("app.wizards.hand_views_worker.LandmarkReader.close", lambda self: reader.close())
    window = rig.show()
    rig.start()
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    window.wizards.hand_size()
    assert isinstance(window.wizards.dialog, HandSizeDialog)
    window.wizards.dialog.views_button.click()
    rig.until(lambda: isinstance(window.wizards.dialog, HandViewsDialog))
    rig.until(lambda: window.wizards.dialog.progress.value() > 0)
    assert window.wizards.dialog.close()
    rig.until(lambda: reader.closed)


def test_views_that_disagree_are_named() -> None:
    misfit = np.ones(10)
    misfit[[2, 6]] = 3.0
    text = answer_of(HandBones((BoneRatio("index_proximal", 1.3, 0.07),), misfit), None)
    assert "View 3, 7 does not fit" in text and "1 of 1 bones differ" in text and "mean adult's" in text


def painted(pose: ViewPose) -> np.ndarray:
    hand, image = OpenHand.load(), np.full((480, 640, 3), BACKGROUND, np.uint8)
    vertices = hand.forward(pose.hand_pose)[0][0] + (0.0, 0.09, 0.45)
    paint_triangles(image, CAMERA.project(vertices), vertices[hand.faces], hand.faces)
    return image


@pytest.mark.parametrize("number", [0, 4, 6, 7])
def test_rendered_poses_are_recognised(number: int) -> None:
    reader = LandmarkReader()
    try:
        seen = reader.read(painted(VIEW_POSES[number]), CAMERA, "right")
    finally:
        reader.close()
    assert seen is not None and what_is_wrong(seen.observation.world_m[0], VIEW_POSES[number]) == ""
