"""Messages over the lower right of the window: what happened, what to do, and a button where one helps.

What merely informs goes by itself after a while; what asks for something stays until it is done or dismissed.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QApplication,
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
WIDTH, MARGIN = 460, 14
WITH_ACTION = 3  # so many times as long where there is a button to press
SHOWN_MS = {Severity.INFO: 8_000, Severity.WARNING: 30_000}  # an error stays


class NoticeBar(QFrame):
    """Shows the newest of the messages that were not dismissed; hidden while there is none.

    It floats over its parent's lower right corner. While the pointer is on it, it does not go by itself.

    Signals:
        acted(Notice): the user pressed the message's own button.
    """

    acted = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notices: list[Notice] = []
        self._expiry = QTimer(self)
        self._expiry.setSingleShot(True)
        self._expiry.timeout.connect(self._expire)
        if parent is not None:
            parent.installEventFilter(self)
        self.setObjectName("noticeBar")
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.more = QLabel(self)
        self.action = QPushButton(Action.RETRY.value, self)
        self.details = QPushButton("Details…", self)
        self.dismiss = QToolButton(self)
        self.dismiss.setAutoRaise(True)
        self.dismiss.setToolTip("Dismiss this message.")
        self.action.clicked.connect(self._act)
        self.details.clicked.connect(self._show_details)
        self.dismiss.clicked.connect(self._dismiss)
        self.dismiss.setAccessibleName("Dismiss")
        head, foot = QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.text, 1)
        head.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignTop)
        foot.addWidget(self.more)
        foot.addStretch(1)
        foot.addWidget(self.details)
        foot.addWidget(self.action)
        for widget in (self.more, self.action, self.details, self.dismiss):
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 8, 10)
        column.setSpacing(6)
        column.addLayout(head)
        column.addLayout(foot)
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
            self._expiry.stop()
            return
        lasts_ms = SHOWN_MS.get(notice.severity)
        if lasts_ms is None:
            self._expiry.stop()
        else:
            self._expiry.start(lasts_ms if notice.action is Action.NONE else WITH_ACTION * lasts_ms)
        self._style()
        others = len(self._notices) - 1
        self.more.setText(f"+{others} more" if others else "")
        self.more.setVisible(bool(others))
        self.action.setVisible(notice.action is not Action.NONE)
        self.action.setText(notice.action.value)
        self.details.setVisible(bool(notice.details))
        self._place()

    def _expire(self) -> None:
        """Go, unless somebody is reading."""
        if self.underMouse() or self.isAncestorOf(QApplication.focusWidget()):
            self._expiry.start(SHOWN_MS[Severity.INFO])
        else:
            self._dismiss()

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent is None or self.isHidden():
            return
        width = min(WIDTH, parent.width() - 2 * MARGIN)
        layout = self.layout()
        assert layout is not None
        layout.activate()
        height = max(layout.heightForWidth(width), layout.minimumSize().height()) + 6
        self.setGeometry(parent.width() - width - MARGIN, parent.height() - height - MARGIN, width, height)
        self.raise_()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._place()
        return super().eventFilter(watched, event)

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
            f"#noticeBar {{ background: {css(colours.base)}; border: 1px solid {css(colours.line)};"
            f" border-left: 5px solid {colour}; border-radius: 8px; }}"
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
