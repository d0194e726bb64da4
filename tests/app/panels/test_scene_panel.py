"""The panel around the 3D view: when it moves the view by itself, and when it leaves it alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PyQt6.QtCore import pyqtSignal
from pytestqt.qtbot import QtBot

from app.live.settings_store import SettingsStore
from app.panels.scene import NoViewport, ScenePanel
from app.settings import Settings
from app.viewport.orbit import HOME, Orbit
from app.viewport.protocol import ViewOptions
from tests.app.doubles import hand, result


class Remembers(NoViewport):
    """A view that only remembers from where it is looked at, and what is shown."""

    view_changed = pyqtSignal()
    options = ViewOptions()

    def __init__(self) -> None:
        super().__init__()
        self._place = HOME

    def set_orbit(self, orbit: Orbit) -> None:
        self._place = orbit
        self.view_changed.emit()

    def set_options(self, options: ViewOptions) -> None:
        self.options = options

    @property
    def orbit(self) -> Orbit:
        return self._place


@pytest.fixture
def panel(qtbot: QtBot) -> ScenePanel:
    made = ScenePanel(Remembers(), SettingsStore(Settings()))
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
    assert place(panel) == mine
    panel.fit()
    assert place(panel) != mine


def test_viewpoint_and_shown_parts_are_found_again(qtbot: QtBot) -> None:
    store = SettingsStore(Settings())
    first = ScenePanel(Remembers(), store)
    qtbot.addWidget(first)
    first.resize(400, 500)
    first.show_result(result([hand(0.3)]))
    assert store.current.scene_view == (), "a view that was fitted by itself is none of the user's own"
    mine = replace(place(first), distance_m=0.123, azimuth_rad=-0.4)
    first.widget.set_orbit(mine)
    actions = {action.text(): action for action in first.parts.menu().actions()}
    actions["Keypoints and bones"].setChecked(False)
    again = ScenePanel(Remembers(), SettingsStore(Settings(**store.current.model_dump())))
    qtbot.addWidget(again)
    assert place(again) == mine and not again.widget.options.skeleton and again.widget.options.mesh
    again.clear()
    again.show_result(result([hand(0.3)]))
    assert place(again) == mine, "nothing moves it but the user"
    again.fit()
    assert again._settings.current.scene_view == ()


def test_a_viewpoint_that_is_nonsense_is_not_used(qtbot: QtBot) -> None:
    for numbers in ((1.0, 2.0), (float("1e300"),) * 7):
        made = ScenePanel(Remembers(), SettingsStore(Settings(scene_view=numbers)))
        qtbot.addWidget(made)
        assert place(made).distance_m <= 5.0


def test_muting_shows_where_the_root_would_be(qtbot: QtBot) -> None:
    scenes = []
    view = Remembers()
    view.set_scene = scenes.append
    made = ScenePanel(view, SettingsStore(Settings()))
    qtbot.addWidget(made)
    muted = hand(muted=frozenset({3, 4}))
    smoothed = replace(muted, root_m=muted.root_m + (0.01, 0.0, 0.0))
    made.show_result(result([smoothed], raw_hands=[muted]))
    (shown,) = scenes[-1].hands
    assert (shown.root_m - shown.unmuted_root_m) * 1e3 == pytest.approx([0.0, 0.0, -4.0])
    made.show_result(result([hand()]))
    assert scenes[-1].hands[0].unmuted_root_m is None
