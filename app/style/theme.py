"""Light and dark: palettes, the few colours that have a meaning, and figures that stay readable on both."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PyQt6.QtWidgets import QApplication

from handdgp_core.drawing.colours import HAND_COLOURS


@dataclass(frozen=True)
class Tones:
    """Colours by meaning; `ink` names are for text and lines on `window`."""

    dark: bool
    window: QColor
    base: QColor
    raised: QColor
    line: QColor
    ink: QColor
    faint_ink: QColor
    accent: QColor
    good: QColor
    warning: QColor
    error: QColor
    axes: tuple[QColor, QColor, QColor]

    def hand(self, side: str) -> QColor:
        """The colour of a "left" or "right" hand, as in the overlay."""
        return QColor(*HAND_COLOURS["left" if side == "left" else "right"])


LIGHT = Tones(
    dark=False,
    window=QColor("#f3f4f6"),
    base=QColor("#ffffff"),
    raised=QColor("#e8eaee"),
    line=QColor("#c6cad1"),
    ink=QColor("#1b1f26"),
    faint_ink=QColor("#5d6673"),
    accent=QColor("#2563c9"),
    good=QColor("#1f7a3a"),
    warning=QColor("#9a5b00"),
    error=QColor("#b3261e"),
    axes=(QColor("#c44e00"), QColor("#00805c"), QColor("#2f62d0")),  # safe for people who confuse red and green
)
DARK = Tones(
    dark=True,
    window=QColor("#282d35"),
    base=QColor("#15181c"),
    raised=QColor("#363c46"),
    line=QColor("#4c5462"),
    ink=QColor("#e8eaee"),
    faint_ink=QColor("#a3acb9"),
    accent=QColor("#5b9bff"),
    good=QColor("#5fc97e"),
    warning=QColor("#ffbe3d"),
    error=QColor("#ff7a70"),
    axes=(QColor("#ff9050"), QColor("#2fd0a2"), QColor("#6ea3ff")),
)


def tones() -> Tones:
    """The colours in use: those whose window the present palette has."""
    application = QGuiApplication.instance()
    if not isinstance(application, QGuiApplication):
        return LIGHT
    return DARK if application.palette().color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def apply_theme(application: QApplication, choice: str) -> None:
    """Fusion style with the "light" or "dark" palette; "system" asks the desktop."""
    application.setStyle("Fusion")
    application.setPalette(_palette(_chosen(choice)))
    application.setStyleSheet(_style_sheet(_chosen(choice)))


def _chosen(choice: str) -> Tones:
    if choice in ("light", "dark"):
        return DARK if choice == "dark" else LIGHT
    hints = QGuiApplication.styleHints()
    return DARK if hints is not None and hints.colorScheme() == Qt.ColorScheme.Dark else LIGHT


def _palette(tones: Tones) -> QPalette:
    role, palette = QPalette.ColorRole, QPalette()
    white = QColor("#ffffff")
    for target, colour in (
        (role.Window, tones.window), (role.WindowText, tones.ink), (role.Base, tones.base),
        (role.AlternateBase, tones.raised), (role.Text, tones.ink), (role.Button, tones.raised),
        (role.ButtonText, tones.ink), (role.BrightText, tones.error), (role.ToolTipBase, tones.base),
        (role.ToolTipText, tones.ink), (role.Highlight, tones.accent), (role.Accent, tones.accent),
        (role.HighlightedText, QColor("#10141a") if tones.dark else white), (role.Link, tones.accent),
        (role.PlaceholderText, tones.faint_ink), (role.Mid, tones.line), (role.Midlight, tones.raised),
        (role.Light, tones.raised.lighter(115)), (role.Dark, tones.line.darker(120)), (role.Shadow, QColor("#000000")),
    ):  # fmt: skip
        palette.setColor(target, colour)
    faint = QColor(tones.faint_ink)
    faint.setAlpha(140)
    for target in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, target, faint)
    return palette


def _style_sheet(tones: Tones) -> str:
    """Only what a palette cannot say. Sizes are in points and pixels of the logical screen, which Qt scales."""
    return f"""
    QToolTip {{ color: {tones.ink.name()}; background: {tones.base.name()}; border: 1px solid {tones.line.name()};
                padding: 4px; }}
    QDockWidget::title {{ background: {tones.raised.name()}; padding: 5px 8px; }}
    QMainWindow::separator {{ background: {tones.window.name()}; width: 5px; height: 5px; }}
    QMainWindow::separator:hover {{ background: {tones.accent.name()}; }}
    QStatusBar::item {{ border: none; }}
    QStatusBar QLabel {{ padding: 2px 8px; }}
    QToolBar {{ border: none; border-bottom: 1px solid {tones.line.name()}; padding: 3px 6px; spacing: 4px; }}
    """


def figures_font(points: float, *, bold: bool = False) -> QFont:
    """The program's font with digits of one width, so that changing figures do not dance."""
    font = QFont(QApplication.font())
    font.setPointSizeF(points)
    font.setBold(bold)
    if hasattr(font, "setFeature"):  # Qt 6.7 and later
        font.setFeature(QFont.Tag("tnum"), 1)
    return font


def css(colour: QColor) -> str:
    """A colour for style sheets and rich text."""
    return colour.name(QColor.NameFormat.HexRgb)
