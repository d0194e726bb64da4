"""Badges and figures over the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.live.state import Phase, Status
from app.live.truth import TrueHand
from app.panels.camera import CameraPanel
from app.viewport.protocol import SceneHand
from handdgp_core.drawing.overlay import hand_label
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand
from tests.app.doubles import HEIGHT, WIDTH, hand, result


def test_the_error_of_the_demo_goes_with_its_hand(qtbot) -> None:
    panel = CameraPanel()
    qtbot.addWidget(panel)
    panel.show_status(Status(phase=Phase.RUNNING, is_rendered=True))
    both = [hand(), hand(side="left")]
    truth = [TrueHand(both[0].root_m, 246.0), TrueHand(both[1].root_m, 10.0)]
    panel.show_result(result(both, truth=truth))
    assert panel.demo_badge.text() == "Rendered demo · error 128 mm"
    panel.show_result(result(both[1:], 1, truth=truth[1:]))
    assert panel.demo_badge.text() == "Rendered demo · error 10 mm"
    panel.show_result(result([], 2))
    assert panel.demo_badge.text() == "Rendered demo"
    assert not any(character.isdigit() for side in panel.readouts.values() for character in side.figure.text())


def off_axis(distance_std: float = float("nan")) -> Hand:
    """A hand whose wrist's depth, wrist's distance and palm's distance all differ."""
    made, shift = hand(0.4), np.array([0.25, 0.1, 0.0])
    return replace(
        made, keypoints_m=made.keypoints_m + shift, root_m=made.root_m + shift, vertices_m=made.vertices_m + shift,
        distance_std=distance_std,
    )  # fmt: skip


def test_card_picture_and_scene_show_one_named_distance(qtbot) -> None:
    panel, shown = CameraPanel(), off_axis()
    qtbot.addWidget(panel)
    panel.show_result(result([shown]))
    card = panel.readouts["right"]
    expected_cm = 100 * np.linalg.norm(np.array([0.25, 0.1, 0.4]))
    assert card.figure.text() == f"{expected_cm:.1f} cm"
    camera = replace(Camera.assumed(WIDTH, HEIGHT), source="calibrated")
    assert hand_label(shown, camera) == f"right palm {card.figure.text()}"
    assert f"{100 * SceneHand.from_hand(shown).distance_m:.1f} cm" == card.figure.text()
    assert "palm" in card.accessibleName() and "palm" in card.name.text().lower()


def test_the_error_stands_beside_its_number_and_tells_all_it_knows(qtbot) -> None:
    panel = CameraPanel()
    qtbot.addWidget(panel)
    panel.resize(800, 500)
    panel.show()
    known = DistanceError(depth_m=0.01, share=0.02, edge_on=0.05, size=0.06)
    assumed, calibrated = Camera.assumed(WIDTH, HEIGHT), replace(Camera.assumed(WIDTH, HEIGHT), source="calibrated")
    errors_cm = []
    for camera, given in [(assumed, False), (assumed, True), (calibrated, False), (calibrated, True)]:
        shown = off_axis(known.relative(off_axis().keypoints_m, camera, given))
        panel.show_result(result([shown]))
        panel.show_status(Status(phase=Phase.PAUSED))
        panel.show_result(result([shown]))
        errors_cm.append(float(panel.readouts["right"].error.text().removeprefix("± ").removesuffix(" cm")))
    assert errors_cm == sorted(errors_cm, reverse=True) and len(set(errors_cm)) == 4
    assert errors_cm[0] > 0.3 * 48.0, "an assumed field of view alone makes ±30 %"
    card = panel.readouts["right"]
    assert abs(card.error.geometry().center().y() - card.figure.geometry().center().y()) < 20
    panel.show_result(result([off_axis()]))
    assert card.error.text().endswith("or more"), "an error that nobody has measured is not taken for none"
