"""Plots of the motion of both hands: bands with gaps, a cursor with values, a click that seeks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPointF

from app.panels.motion import MotionPanel
from app.panels.motion_history import DISTANCE, TIME
from tests.app.doubles import hand, result


@pytest.fixture
def panel(qtbot):
    made = MotionPanel()
    qtbot.addWidget(made)
    made.resize(400, 600)
    made.show()
    yield made
    made.shutdown()


def drawn(panel: MotionPanel) -> None:
    """Both plots once."""
    panel._changed, panel._turn = True, 0
    panel._redraw()
    panel._redraw()


def test_both_hands_are_drawn_each_in_its_colour_with_the_band_of_its_error(panel) -> None:
    for index in range(30):
        both = [replace(hand(0.3), distance_std=0.05), replace(hand(0.5, side="left"), distance_std=0.02)]
        panel.add(result(both, index))
    drawn(panel)
    plot = panel._distance
    for side, middle, half in (("right", 30.0, 3.0), ("left", 50.0, 2.0)):
        _, distance = plot.smooth[side].getData()
        np.testing.assert_allclose(distance, middle, rtol=1e-6)
        edges = plot.bands[side].path().boundingRect()
        assert edges.top() == pytest.approx(middle - half, abs=0.1)
        assert edges.bottom() == pytest.approx(middle + half, abs=0.1)
    colours = {plot.smooth[side].opts["pen"].color().name() for side in ("left", "right")}
    assert len(colours) == 2


def test_the_band_has_gaps_where_no_hand_was_seen(panel) -> None:
    for index in range(30):
        panel.add(result([] if 10 <= index < 20 else [hand()], index))
    drawn(panel)
    rows = panel.history.motion["right"].last(10.0)
    path = panel._distance.bands["right"].path()
    ago, middle = rows[:, TIME] - rows[-1, TIME], float(np.nanmean(rows[:, DISTANCE]))
    inside = [path.contains(QPointF(float(x), middle)) for x in (ago[:-1] + ago[1:]) / 2]
    assert inside == [True] * 9 + [False] * 11 + [True] * 9


def test_the_cursor_reads_the_values_of_its_time_and_a_click_seeks(panel, qtbot) -> None:
    for index in range(100):
        panel.add(result([hand(0.3 + 0.001 * index)], index))
    drawn(panel)
    assert "<b>39.9</b>" in panel.caption.text() and "now" in panel.caption.text()
    panel._distance.point(-1.0)  # frames are 20 ms apart
    assert "<b>34.9</b>" in panel.caption.text() and "−1.0 s" in panel.caption.text()
    assert "Left –" in panel.caption.text() and panel._distance.cursor.isVisible()

    class Click:
        def scenePos(self):
            return panel._distance.item.getViewBox().mapViewToScene(QPointF(-1.0, 35.0))

    panel._distance._on_click(Click())  # a live source: nowhere to go
    panel.allow_seeking(True)
    with qtbot.waitSignal(panel.sought) as sought:
        panel._distance._on_click(Click())
    assert sought.args == [49]
    panel._distance.point(None)
    assert "now" in panel.caption.text()
