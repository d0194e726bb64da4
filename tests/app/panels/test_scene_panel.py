"""The panel around the 3D view: when it moves the view by itself, and when it leaves it alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from app.panels.scene import NoViewport, ScenePanel
from app.viewport.orbit import HOME, Orbit
from tests.app.doubles import hand, result


class Remembers(NoViewport):
    """A view that only remembers from where it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._place = HOME

    def set_orbit(self, orbit: Orbit) -> None:
        self._place = orbit

    @property
    def orbit(self) -> Orbit:
        return self._place


@pytest.fixture
def panel(qtbot: QtBot) -> ScenePanel:
    made = ScenePanel(Remembers())
    qtbot.addWidget(made)
    made.resize(400, 500)
    return made


def place(panel: ScenePanel) -> Orbit:
    assert isinstance(panel.widget, Remembers)
    return panel.widget.orbit


def test_each_further_hand_is_brought_into_sight_once(panel: ScenePanel) -> None:
    panel.show_result(result([hand(0.3)]))
    near = place(panel)
    assert near != HOME
    panel.show_result(result([hand(0.9)]))
    assert place(panel) == near  # the same hand somewhere else does not move the view
    panel.show_result(result([hand(0.3), hand(0.9, "left")]))
    both = place(panel)
    assert both.distance_m > near.distance_m
    panel.show_result(result([hand(0.3)]))
    panel.show_result(result([hand(0.3), hand(0.4, "left")]))
    assert place(panel) == both


def test_a_view_that_the_person_moved_stays(panel: ScenePanel) -> None:
    panel.show_result(result([hand(0.3)]))
    mine = replace(place(panel), distance_m=0.123)
    panel.widget.set_orbit(mine)
    panel.show_result(result([hand(0.3), hand(0.9, "left")]))
    assert place(panel) == mine
    panel.clear()  # another source
    panel.show_result(result([hand(0.3)]))
    assert place(panel) != mine
