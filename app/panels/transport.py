"""The bar below the picture that plays files and recordings: play, step, seek with small pictures, repeat a part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.replay_control import ReplayControl
from app.replay_view import ReplayMode
from app.theme import figures_font, tones
from app.thumbnails import WIDTH_PX, ThumbnailWorker
from app.workers import Worker

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
POLL_MS = 100
_HEIGHT_PX, _EDGE_PX = 30, 9


class TransportBar(QWidget):
    """Steers the player through `ReplayControl`; hidden for sources that cannot be wound.

    Args:
        replay: what is played.
        actions: the window's commands by name; those of the player get their buttons here.
        adopt: starts a worker (the one that reads small pictures) and stops it in the end.
    """

    _picture = pyqtSignal(int, object)

    def __init__(
        self,
        replay: ReplayControl,
        actions: dict[str, QAction],
        adopt: Callable[[Worker], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._replay, self._adopt = replay, adopt
        self._thumbnails: ThumbnailWorker | None = None
        self.track = SeekTrack(self)
        self.popup = _Popup(self)
        self.time = QLabel(self)
        self.time.setFont(figures_font(9))
        self.time.setToolTip("Time and number of the frame that is shown, and how long all is.")
        self.speed = QComboBox(self)
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g}×", speed)
        self.speed.setToolTip("How fast it is played; 1× is as it was.")
        self.modes = QComboBox(self)
        for mode in ReplayMode:
            self.modes.addItem(mode.value, mode)
        self.modes.setToolTip(
            "Recorded: the results as they were. Run anew: the model of the settings runs on the recorded pictures, "
            "with their calibration and hand length. Both: one beside the other, the recorded one in orange."
        )
        self._lay_out(actions)
        self.track.sought.connect(replay.seek)
        self.track.hovered.connect(self._hover)
        self.track.left.connect(self.popup.hide)
        self.speed.activated.connect(lambda: replay.set_speed(self.speed.currentData()))
        self.modes.activated.connect(lambda: replay.set_mode(self.modes.currentData()))
        self._picture.connect(self._show_picture)
        replay.opened.connect(self._on_opened)
        replay.changed.connect(self._refresh)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._refresh_position)
        self.hide()

    def _lay_out(self, actions: dict[str, QAction]) -> None:
        row = QHBoxLayout()
        row.setSpacing(4)
        for name in ("step_back", "pause", "step", "loop", "mark_a", "mark_b"):
            button = QToolButton(self)
            button.setDefaultAction(actions[name])
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            if name in ("mark_a", "mark_b"):
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            row.addWidget(button)
        self.clear = QToolButton(self)
        self.clear.setText("A–B ×")
        self.clear.setAutoRaise(True)
        self.clear.setToolTip("Forget A and B.")
        self.clear.clicked.connect(self._replay.clear_part)
        row.addWidget(self.clear)
        row.addStretch(1)
        row.addWidget(self.time)
        row.addStretch(1)
        for widget in (self.modes, self.speed):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 4)
        column.setSpacing(2)
        column.addWidget(self.track)
        column.addLayout(row)

    # What the player does

    def _on_opened(self) -> None:
        replay = self._replay
        if self._thumbnails is not None:
            self._thumbnails.request_stop()
            self._thumbnails = None
        if replay.session is not None:
            self._thumbnails = ThumbnailWorker(replay.session, self._picture.emit)
            self._adopt(self._thumbnails)
        shown = replay.count > 1
        self.setVisible(shown)
        self.track.set_count(replay.count)
        self.modes.setVisible(replay.session is not None)
        self.popup.hide()
        (self._timer.start if shown else self._timer.stop)()
        self._refresh()

    def _refresh(self) -> None:
        replay = self._replay
        self.track.set_part(*replay.part)
        self.clear.setVisible(replay.part != (None, None))
        self.modes.setCurrentIndex(self.modes.findData(replay.mode))
        if replay.player is not None:
            self.speed.setCurrentIndex(self.speed.findData(replay.player.speed))
        self._refresh_position()

    def _refresh_position(self) -> None:
        player = self._replay.player
        if player is None:
            return
        index = max(player.position - 1, 0)
        self.track.set_position(index)
        fps = player.nominal_fps or 30.0
        text = f"{_clock(self._seconds(index, fps))} / {_clock(self._seconds(self._replay.count - 1, fps))}"
        text += f"  ·  frame {index} of {self._replay.count}"
        if text != self.time.text():
            self.time.setText(text)

    def _seconds(self, index: int, fps: float) -> float:
        session = self._replay.session
        if session is None:
            return index / fps
        times = session.times_ns
        return float(times[min(index, len(times) - 1)] - times[0]) / 1e9

    # Small pictures

    def _hover(self, index: int, x: float) -> None:
        fps = (self._replay.player.nominal_fps if self._replay.player else None) or 30.0
        self.popup.show_text(f"{_clock(self._seconds(index, fps))}  ·  {index}")
        self.popup.place(self.track.mapToGlobal(QPoint(round(x), 0)))
        if self._thumbnails is not None:
            self._thumbnails.ask(index)

    def _show_picture(self, index: int, picture: NDArray[np.uint8]) -> None:
        if self.popup.isVisible():
            self.popup.show_picture(picture)
            self.popup.place(None)

    def shutdown(self) -> None:
        """Stop looking at the player; the window is about to close."""
        self._timer.stop()
        self.popup.hide()
        if self._thumbnails is not None:
            self._thumbnails.request_stop()


class SeekTrack(QWidget):
    """The line of all frames, with the one that is shown and the part that repeats. Drag or click to seek.

    Signals:
        sought(int): show this frame.
        hovered(int, float): the pointer is above this frame, at x.
        left(): the pointer is gone.
    """

    sought = pyqtSignal(int)
    hovered = pyqtSignal(int, float)
    left = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count, self._position = 0, 0
        self._part: tuple[int | None, int | None] = (None, None)
        self._dragging = False
        self.setFixedHeight(_HEIGHT_PX)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Position in the recording")

    def set_count(self, count: int) -> None:
        """Number of frames."""
        self._count, self._position = count, 0
        self.update()

    def set_position(self, index: int) -> None:
        """The frame that is shown."""
        if index != self._position and not self._dragging:
            self._position = index
            self.update()

    def set_part(self, first: int | None, last: int | None) -> None:
        """The part that repeats."""
        self._part = (first, last)
        self.update()

    def index_at(self, x: float) -> int:
        """The frame at a place of the line."""
        share = (x - _EDGE_PX) / max(1.0, self.width() - 2 * _EDGE_PX)
        return round(min(max(share, 0.0), 1.0) * max(self._count - 1, 0))

    def x_of(self, index: int) -> float:
        """The reverse of `index_at`."""
        return _EDGE_PX + index / max(1, self._count - 1) * (self.width() - 2 * _EDGE_PX)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._dragging = True
            self._seek(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._dragging:
            self._seek(event.position())
        self.hovered.emit(self.index_at(event.position().x()), event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._dragging = False

    def leaveEvent(self, event: QEvent | None) -> None:
        self.left.emit()
        super().leaveEvent(event)

    def _seek(self, place: QPointF) -> None:
        index = self.index_at(place.x())
        self._position = index
        self.update()
        self.sought.emit(index)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        colours = tones()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, here = self.height() / 2, self.x_of(self._position)
        left, right = self.x_of(0), self.x_of(max(self._count - 1, 1))
        for start, end, colour in ((left, right, colours.line), (left, here, colours.accent)):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(start, middle - 2.5, max(0.0, end - start), 5), 2.5, 2.5)
        self._paint_part(painter, middle)
        painter.setBrush(colours.accent)
        painter.drawEllipse(QPointF(here, middle), 7, 7)
        painter.end()

    def _paint_part(self, painter: QPainter, middle: float) -> None:
        first, last = self._part
        if first is None and last is None:
            return
        mark = QColor(tones().warning)
        begin, end = self.x_of(first or 0), self.x_of(self._count - 1 if last is None else last)
        band = QColor(mark)
        band.setAlpha(90)
        painter.setBrush(band)
        painter.drawRect(QRectF(begin, middle - 6, max(2.0, end - begin), 12))
        painter.setBrush(mark)
        painter.setFont(figures_font(7, bold=True))
        for index, x, name in ((first, begin, "A"), (last, end, "B")):
            if index is not None:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.drawRect(QRectF(x - 1.2, middle - 11, 2.4, 22))
                painter.setPen(mark)
                painter.drawText(QRectF(x + (3 if name == "A" else -13), 0, 10, 10), Qt.AlignmentFlag.AlignCenter, name)
                painter.setPen(Qt.PenStyle.NoPen)


class _Popup(QLabel):
    """The small picture above the pointer, with its time."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.ToolTip | Qt.WindowType.FramelessWindowHint)
        self._text = ""
        self._pixmap = QPixmap()
        self._above: QPoint | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_text(self, text: str) -> None:
        """Time and number; the picture follows."""
        self._text = text
        self._compose()
        self.show()

    def show_picture(self, picture: NDArray[np.uint8]) -> None:
        """The picture of the frame that was asked for last."""
        height, width = picture.shape[:2]
        image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._pixmap = QPixmap.fromImage(image.copy())
        self._compose()

    def place(self, above: QPoint | None) -> None:
        """Above this point of the screen; None for where it was."""
        self._above = above or self._above
        if self._above is not None:
            self.move(self._above.x() - self.width() // 2, self._above.y() - self.height() - 4)

    def _compose(self) -> None:
        band = 22
        whole = QPixmap(max(WIDTH_PX, self._pixmap.width()), self._pixmap.height() + band)
        whole.fill(tones().base)
        painter = QPainter(whole)
        painter.drawPixmap(0, 0, self._pixmap)
        painter.setPen(tones().ink)
        painter.setFont(figures_font(9))
        text_area = QRectF(0, self._pixmap.height(), whole.width(), band)
        painter.drawText(text_area, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.end()
        self.setPixmap(whole)
        self.adjustSize()


class RecordMark(QLabel):
    """The red mark that is there for as long as something is recorded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(figures_font(9.5, bold=True))
        self.setStyleSheet("background: #c8231c; color: white; border-radius: 6px; padding: 3px 9px;")
        self.setToolTip("Recording: time, size of the file, and frames that wait for the disk. Ctrl+R ends it.")
        self.setAccessibleName("Recording")
        self.hide()

    def show_recording(self, seconds: float, megabytes: float, waiting: int) -> None:
        """Show how the recording goes."""
        queue = f" · {waiting} waiting" if waiting > 15 else ""
        self.setText(f"● REC {_clock(seconds)} · {megabytes:.0f} MB{queue}")
        self.show()


def _clock(seconds: float) -> str:
    """1:02.3"""
    minutes, rest = divmod(max(0.0, seconds), 60.0)
    return f"{int(minutes)}:{rest:04.1f}"
