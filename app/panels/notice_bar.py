"""Messages at the top of the window: what happened, what to do, and a button where one helps. Never in the way."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.notices import Action, Notice, Severity
from app.style.icons import icon
from app.style.theme import css, tones

KEPT = 5


class NoticeBar(QFrame):
    """Shows the newest of the messages that were not dismissed; hidden while there is none.

    Signals:
        acted(Notice): the user pressed the message's own button.
    """

    acted = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notices: list[Notice] = []
        self.setObjectName("noticeBar")
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.more = QLabel(self)
        self.action = QPushButton(self)
        self.details = QPushButton("Details…", self)
        self.dismiss = QToolButton(self)
        self.dismiss.setAutoRaise(True)
        self.dismiss.setToolTip("Dismiss this message.")
        self.action.clicked.connect(self._act)
        self.details.clicked.connect(self._show_details)
        self.dismiss.clicked.connect(self._dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self.text, 1)
        for widget in (self.more, self.action, self.details, self.dismiss):
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    @property
    def notice(self) -> Notice | None:
        """The message that is shown."""
        return self._notices[-1] if self._notices else None

    def add(self, notice: Notice) -> None:
        """Show a message; one with the same topic gives way to it."""
        if notice.topic:
            self._notices = [old for old in self._notices if old.topic != notice.topic]
        self._notices = [*self._notices, notice][-KEPT:]
        self._show_newest()

    def remove(self, topic: str) -> None:
        """Take a message away whose reason is gone."""
        self._notices = [notice for notice in self._notices if notice.topic != topic]
        self._show_newest()

    def _dismiss(self) -> None:
        self._notices = self._notices[:-1]
        self._show_newest()

    def _act(self) -> None:
        notice = self.notice
        if notice is not None:
            if notice.action is Action.RETRY:
                self._dismiss()
            self.acted.emit(notice)

    def _show_newest(self) -> None:
        notice = self.notice
        self.setVisible(notice is not None)
        if notice is None:
            return
        self._style()
        others = len(self._notices) - 1
        self.more.setText(f"+{others} more" if others else "")
        self.more.setVisible(bool(others))
        self.action.setVisible(notice.action is not Action.NONE)
        self.action.setText(notice.action.value)
        self.details.setVisible(bool(notice.details))

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange and self.notice is not None:
            self._style()
        super().changeEvent(event)

    def _style(self) -> None:
        notice = self.notice
        if notice is None:
            return
        self.dismiss.setIcon(icon("close"))
        colours = tones()
        mark = {Severity.INFO: colours.accent, Severity.WARNING: colours.warning, Severity.ERROR: colours.error}
        colour = css(mark[notice.severity])
        sheet = (
            f"#noticeBar {{ background: {css(colours.base)}; border: 0px; border-left: 5px solid {colour};"
            f" border-bottom: 1px solid {css(colours.line)}; }}"
        )
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
        head = f"<b><span style='color:{colour}'>{notice.severity.value}:</span> {_escaped(notice.title)}</b>"
        self.text.setText(f"{head}<br>{_escaped(notice.text)}" if notice.text else head)
        self.setAccessibleName(f"{notice.severity.value}: {notice.title} {notice.text}")

    def _show_details(self) -> None:
        if self.notice is not None:
            DetailsDialog(self.notice, self.window()).open()


class DetailsDialog(QDialog):
    """The whole story of a message, to read or to copy into a report."""

    def __init__(self, notice: Notice, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Details")
        self.resize(720, 420)
        text = QPlainTextEdit(f"{notice.title}\n{notice.text}\n\n{notice.details}".strip(), self)
        text.setReadOnly(True)
        text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(buttons)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
