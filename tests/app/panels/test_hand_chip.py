"""Where the plate with a hand's distance goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPointF, QRectF, QSizeF

from app.panels.hand_chip import EDGE, chip_place
from tests.app.doubles import HEIGHT, WIDTH, hand, result

VIEW, SIZE = QRectF(0, 0, 640, 400), QSizeF(180, 60)


def test_it_is_beside_the_hand_and_stays_on_its_side() -> None:
    middle = QRectF(280, 150, 80, 100)
    side, corner = chip_place(middle, SIZE, VIEW, [])
    assert side == "right" and corner.x() > middle.right()
    assert chip_place(middle, SIZE, VIEW, [], before="below")[0] == "below"
    at_the_edge = middle.translated(250, 0)
    assert chip_place(at_the_edge, SIZE, VIEW, [], before="right")[0] == "left"
    other = QRectF(330, 170, 110, 60)
    assert chip_place(at_the_edge, SIZE, VIEW, [other])[0] in ("above", "below")


@given(
    st.tuples(st.floats(-200, 800), st.floats(-200, 600), st.floats(0, 900), st.floats(0, 700)),
    st.sampled_from(["", "left", "right", "below", "above"]),
)
def test_it_never_leaves_the_view(box: tuple[float, float, float, float], before: str) -> None:
    _, corner = chip_place(QRectF(*box), SIZE, VIEW, [QRectF(0, 0, 200, 90)], before)
    assert VIEW.adjusted(EDGE, EDGE, -EDGE, -EDGE).contains(QRectF(corner, SIZE))


def test_two_plates_never_overlap_in_a_wide_view() -> None:
    first, second = QRectF(250, 120, 90, 120), QRectF(360, 120, 90, 120)
    _, corner = chip_place(first, SIZE, VIEW, [second])
    plate = QRectF(corner, SIZE)
    _, other = chip_place(second, SIZE, VIEW, [first, plate])
    assert not plate.intersects(QRectF(other, SIZE))
    assert not plate.intersects(first) and not plate.intersects(second)


def test_plates_go_with_their_hands_also_in_a_mirrored_picture(qtbot) -> None:
    from app.panels.camera import CameraPanel

    panel = CameraPanel()
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    centres = {}
    for mirrored in (False, True):
        shown = hand()
        shown.keypoints_px[:, 0] = shown.keypoints_px[:, 0] * 0.2 + 0.05 * WIDTH
        panel.show_result(result([shown], mirrored=mirrored))
        chip = panel.readouts["right"]
        assert chip.isVisible() and panel.readouts["left"].isHidden()
        centres[mirrored] = chip.geometry().center().x()
    assert HEIGHT and centres[False] < 450 < centres[True]
    panel.readouts["right"].clicked.emit()
    assert panel.readouts["right"].details.isVisible()
    assert isinstance(panel.view.image_rect().topLeft(), QPointF)
