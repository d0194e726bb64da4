"""What the window shows beside the picture, and what gives way where there is little room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QApplication, QPushButton, QToolButton

from app.notices import Notice, Severity
from app.panels import notice_bar
from app.panels.side_panel import LEAST_WIDTH
from app.settings import Settings, load_settings
from app.window.rail import PANELS, PICTURE_LEAST, SCENE_LEAST, shares


@given(st.integers(PICTURE_LEAST + LEAST_WIDTH, 4000), st.integers(0, 1200), st.floats(0.1, 0.9))
def test_panels_and_the_3d_view_give_way_before_the_picture(room: int, panel: int, share: float) -> None:
    widths = shares(room, panel, share)
    picture, scene, side = widths
    assert sum(widths) == room and picture >= PICTURE_LEAST
    assert scene == 0 or scene >= SCENE_LEAST
    assert (side >= LEAST_WIDTH) if panel else side == 0
    if room >= PICTURE_LEAST + SCENE_LEAST + max(panel, LEAST_WIDTH):
        assert scene > 0


def settled(window) -> None:
    for _ in range(3):
        QApplication.processEvents()


def test_one_panel_at_a_time_is_open_and_remembered(rig, qtbot) -> None:
    window = rig.show()
    for name in PANELS:
        window.actions_by_name[f"panel_{name}"].trigger()
        settled(window)
        panels = {"start": window.start, "weights": window.weights, "motion": window.motion,
                  "performance": window.performance, "beside": window.beside, "settings": window.form}  # fmt: skip
        shown = {other for other, panel in panels.items() if panel.isVisible()}
        assert shown == ({name} if rig.settings.panel else set())
        checked = [other for other in PANELS if window.actions_by_name[f"panel_{other}"].isChecked()]
        assert checked == ([name] if rig.settings.panel else [])
    window.actions_by_name["panel_settings"].trigger()  # a second time
    assert rig.settings.panel == "" and window.side.isHidden()
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    qtbot.mouseClick(window.side.close_button, Qt.MouseButton.LeftButton)
    assert window.side.isHidden()
    window.actions_by_name["panel_motion"].trigger()
    window.close()
    assert load_settings(rig.path)[0].panel == "motion"


def test_at_the_smallest_size_the_picture_stays_large_and_all_is_reachable(rig) -> None:
    window = rig.show()
    window.resize(window.minimumSize())
    settled(window)
    assert (window.width(), window.height()) == (700, 420), "a control forces the window wider"
    for name in ("settings", "motion", "weights", "start", "performance", "beside"):
        window.rail.open(name)
        settled(window)
        assert (window.width(), window.height()) == (700, 420), name
        assert window.camera.view.width() >= 340 and window.camera.view.height() >= 280, name
        assert window.side.geometry().right() <= window.rail.splitter.width(), name
    window.rail.open("")
    settled(window)
    assert window.scene.isVisible() and window.camera.view.width() >= 340
    window.rail.open("weights")
    settled(window)
    assert window.scene.isHidden()
    window.actions_by_name["scene"].trigger()  # off
    window.actions_by_name["scene"].trigger()  # on: it takes the room of the panel
    settled(window)
    assert window.scene.isVisible() and rig.settings.panel == ""


@pytest.mark.parametrize("size", [(800, 500), (1067, 640), (1600, 960)])
def test_nothing_lies_outside_of_the_window(rig, size: tuple[int, int]) -> None:
    """The sizes are those of a screen of 1600 x 1000 at 200, 150 and 100 %."""
    window = rig.show()
    window.resize(*size)
    window.rail.open("settings")
    settled(window)
    assert (window.width(), window.height()) == size
    for button in (*window.side.findChildren(QPushButton), *window.rail.bar.findChildren(QToolButton)):
        if not button.isVisible() or window.form.isAncestorOf(button):  # the form scrolls
            continue
        corner = button.mapTo(window, QPoint(button.width(), button.height()))
        assert corner.x() <= window.width() and corner.y() <= window.height(), button.text()


def test_the_default_layout_can_be_had_back(rig) -> None:
    window = rig.show()
    window.resize(1400, 800)
    rig.store.change(panel_width=700, scene_share=0.8, show_scene=False, panel="")
    window.actions_by_name["reset_layout"].trigger()
    usual = Settings()
    assert rig.settings.panel_width == usual.panel_width and rig.settings.show_scene
    assert window.scene.isVisible() and window.weights.isVisible()


def test_a_message_floats_over_the_view_and_what_only_informs_goes_by_itself(rig, monkeypatch) -> None:
    monkeypatch.setattr(notice_bar, "SHOWN_MS", {Severity.INFO: 50, Severity.WARNING: 100_000})
    window = rig.show()
    before = window.camera.view.size()
    window.notices.add(Notice(Severity.ERROR, "It broke.", "Do something."))
    window.notices.add(Notice(Severity.INFO, "Saved.", "Somewhere."))
    settled(window)
    assert window.camera.view.size() == before, "nothing is pushed aside"
    assert window.rail.area.rect().contains(window.notices.geometry())
    rig.until(lambda: window.notices.notice.title == "It broke.")
    assert window.notices.isVisible(), "an error stays until somebody has seen it"
    window.resize(window.minimumSize())
    settled(window)
    assert window.rail.area.rect().contains(window.notices.geometry())


def test_the_first_steps_are_ticked_and_stay_so(rig) -> None:
    window = rig.show()
    assert not rig.settings.had_camera
    rig.start("live")
    rig.until(lambda: rig.settings.had_camera)
    rig.store.change(hand_length_enabled=True)
    assert rig.settings.had_hand and not rig.settings.had_calibration
    rig.store.change(hand_length_enabled=False)
    assert rig.settings.had_hand, "what was done once stays ticked"
    assert window.start.steps["had_hand"].tick.accessibleName() == "Done"
    assert window.start.steps["had_calibration"].tick.accessibleName() == "To do"
