"""Badges and figures over the picture."""

from __future__ import annotations

from app.live.state import Phase, Status
from app.live.truth import TrueHand
from app.panels.camera import CameraPanel
from tests.app.doubles import hand, result


def test_the_error_of_the_demo_goes_with_its_hand(qtbot) -> None:  # type: ignore[no-untyped-def]
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
