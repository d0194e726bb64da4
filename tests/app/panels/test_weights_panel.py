"""The drawn hand of the weights panel: shares, clicks, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from app.panels.weight_hand import WeightHand, share_colours, solve_shares
from app.panels.weights import WeightsPanel
from tests.app.doubles import hand


def test_shares_are_those_of_the_normal_equations() -> None:
    weights = np.linspace(0.5, 0.9, 21)
    shares = solve_shares(replace(hand(), weights=weights))
    assert shares.sum() == pytest.approx(1.0) and shares == pytest.approx(weights**2 / np.sum(weights**2))
    muted = solve_shares(replace(hand(), weights=weights), frozenset({20}))
    assert muted[20] == 0 and muted.sum() == pytest.approx(1.0) and muted[0] > shares[0]
    assert not solve_shares(replace(hand(), weights=np.zeros(21))).any()


def test_weights_that_differ_little_differ_in_colour(qtbot) -> None:
    drawn = WeightHand()
    qtbot.addWidget(drawn)
    drawn.resize(320, 360)
    weights = np.full(21, 0.60)
    weights[8] = 0.84
    drawn.show_hand(replace(hand(), weights=weights), frozenset())
    picture = drawn.grab().toImage()
    tip, other = (picture.pixelColor(drawn.places()[keypoint].toPoint()) for keypoint in (8, 12))
    expected = share_colours(solve_shares(replace(hand(), weights=weights)))
    assert (tip.red(), tip.green(), tip.blue()) == tuple(expected[8])
    assert sum(abs(a - b) for a, b in zip(tip.getRgb(), other.getRgb(), strict=True)) > 100


def test_a_click_on_the_hand_mutes_that_keypoint_also_of_a_left_hand(qtbot) -> None:
    panel = WeightsPanel()
    qtbot.addWidget(panel)
    panel.resize(360, 700)
    panel.show()
    for side in ("right", "left"):
        panel.show_hand(hand(side=side))
        place = panel.drawing.places()[8].toPoint()
        qtbot.mouseClick(panel.drawing, Qt.MouseButton.LeftButton, pos=place)
        assert panel.muted == {8} and "muted" in panel.drawing.describe(8)
        qtbot.mouseClick(panel.drawing, Qt.MouseButton.LeftButton, pos=place)
        assert panel.muted == frozenset() and "% of the solve" in panel.drawing.describe(8)
    thumbs = {}
    for side in ("right", "left"):
        panel.show_hand(hand(side=side))
        thumbs[side] = panel.drawing.places()[4].x()
    assert (thumbs["right"] - 180) * (thumbs["left"] - 180) < 0, "the thumbs are on opposite sides"
