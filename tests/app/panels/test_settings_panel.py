"""The form of the settings: it shows, and changes only what the user changes."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QAbstractSlider, QAbstractSpinBox, QApplication, QComboBox, QScrollArea, QScrollBar, QWidget

from app.live.settings_store import SettingsStore
from app.panels.settings_panel import NO_TASTES, SettingsPanel
from app.settings import Settings


def wheel(widget: QWidget, notches: int = -1) -> bool:
    """Turn the wheel over the middle of a widget; whether it took it."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, QPointF(widget.mapToGlobal(middle.toPoint())), QPoint(0, 0), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def controls(root: QWidget) -> list[QWidget]:
    found = [widget for kind in (QAbstractSpinBox, QComboBox, QAbstractSlider) for widget in root.findChildren(kind)]
    return [widget for widget in found if not isinstance(widget, QScrollBar)]


def test_the_wheel_over_controls_changes_nothing_and_scrolls(rig) -> None:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None)
    window.form.show()
    window.setFocus()
    before, states = rig.settings, [(box.currentIndex()) for box in window.findChildren(QComboBox)]
    area = window.form.findChild(QScrollArea)
    area.verticalScrollBar().setValue(0)
    for control in controls(window):
        for notches in (-1, -1, 1):
            wheel(control, notches)
        assert not control.hasFocus()
    assert rig.settings == replace_recent(before, rig.settings)
    assert states == [box.currentIndex() for box in window.findChildren(QComboBox)]


def replace_recent(settings: Settings, other: Settings) -> Settings:
    return settings.changed(recent_sources=other.recent_sources)


def test_a_focused_control_takes_the_wheel(rig) -> None:
    window = rig.show()
    window.activateWindow()
    window.rail.open("settings")
    window.form.max_hands.setFocus()
    rig.until(window.form.max_hands.hasFocus)
    wheel(window.form.max_hands)
    assert rig.settings.max_hands == 1


def test_the_wheel_goes_on_to_the_form(qtbot) -> None:
    from app.panels.wheel_guard import WheelGuard

    form = SettingsPanel(SettingsStore(Settings()))
    qtbot.addWidget(form)
    guard = WheelGuard(form)
    guard.watch(form)
    form.resize(320, 300)
    form.show()
    assert not wheel(form.assumed_fov_deg), "what is not accepted goes on to the parent, which scrolls"
    assert form.assumed_fov_deg.focusPolicy() == Qt.FocusPolicy.StrongFocus, "the wheel must not give the focus"


@pytest.mark.parametrize("value", [187.25, 187.256, 61.123456])
def test_showing_a_number_with_many_decimals_does_not_change_it(qtbot, value: float) -> None:
    kept = Settings(hand_length_mm=max(value, 100.0), assumed_fov_deg=value % 100 + 20)
    store = SettingsStore(kept)
    form = SettingsPanel(store)
    qtbot.addWidget(form)
    store.change(max_hands=1)
    form.refresh()
    assert store.current == kept.changed(max_hands=1)


def test_numbers_show_no_empty_decimals(qtbot) -> None:
    form = SettingsPanel(SettingsStore(Settings(hand_length_mm=187.25)))
    qtbot.addWidget(form)
    assert (form.hand_length_mm.text(), form.assumed_fov_deg.text()) == ("187.25 mm", "60°")


def test_reset_to_defaults_keeps_what_was_measured(qtbot) -> None:
    mine = Settings(
        max_hands=1, show_mesh=False, theme="dark", steadiness=80, webcam_fps=60.0, hand_length_enabled=True,
        hand_length_mm=187.0, person="Ada", export_folder="/out", recent_sources=("a",),
    )  # fmt: skip
    store = SettingsStore(mine)
    form = SettingsPanel(store)
    qtbot.addWidget(form)
    told: list[str] = []
    reopened: list[bool] = []
    form.changed.connect(told.append)
    form.webcam_changed.connect(lambda: reopened.append(True))
    qtbot.mouseClick(form.reset_button, Qt.MouseButton.LeftButton)
    assert store.current == Settings(**{name: getattr(mine, name) for name in NO_TASTES})
    assert {"max_hands", "theme", "steadiness"} <= set(told) and reopened == [True]
    assert form.max_hands.value() == 2
