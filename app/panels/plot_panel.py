"""What panels with plots share: they draw at their own pace, only while they can be seen, and follow the theme."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QTimer
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QWidget

from app.panels.time_plot import TimePlot

__all__ = ["PlotPanel"]


class PlotPanel(QWidget):
    """Base of such a panel, which makes and places `_plots`, styles them once by `_style`, and sets `_changed` where
    there is something new to draw.

    Args:
        redraw_ms: time from one `_redraw` to the next.
        parent: of the widget.
    """

    def __init__(self, redraw_ms: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots: Sequence[TimePlot] = ()
        self._changed = False
        self._timer = QTimer(self)
        self._timer.setInterval(redraw_ms)
        self._timer.timeout.connect(self._redraw)

    def shutdown(self) -> None:
        """Stop drawing and free the plots, whose hidden menus would outlive the window."""
        self._timer.stop()
        for plot in self._plots:
            plot.widget.close()
            plot.widget.deleteLater()

    def showEvent(self, event: QShowEvent | None) -> None:
        self._changed = True
        self._timer.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:
        self._timer.stop()
        super().hideEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._style()
        super().changeEvent(event)

    def _redraw(self) -> None:
        """Draw what has changed."""
        raise NotImplementedError

    def _style(self) -> None:
        for plot in self._plots:
            plot.style()
        self._changed = True
