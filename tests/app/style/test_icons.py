"""Icons: every name has a glyph, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PyQt6.QtGui import QColor, QIcon
from PyQt6.QtWidgets import QApplication

from app.style.icons import _GLYPHS, icon
from app.style.theme import apply_theme, tones
from app.window.actions import COMMANDS


@pytest.fixture
def application(qapp: QApplication) -> Iterator[QApplication]:
    yield qapp
    apply_theme(qapp, "light")


def painted(drawn: QIcon, mode: QIcon.Mode = QIcon.Mode.Normal) -> list[QColor]:
    """Colours of all pixels that the icon covers at least half."""
    image = drawn.pixmap(32, 32, mode).toImage()
    pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return [pixel for pixel in pixels if pixel.alpha() > 60]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_icon_is_drawn_in_the_ink_of_the_theme(application: QApplication, theme: str) -> None:
    apply_theme(application, theme)
    for name in _GLYPHS:
        pixels = painted(icon(name))
        assert len(pixels) > 20, name
        ink = {"record": QColor("#e5342c"), "tick": tones().good}.get(name, tones().ink)
        strongest = max(pixels, key=QColor.alpha)
        assert abs(strongest.lightness() - ink.lightness()) < 12, name
        assert max(pixel.alpha() for pixel in painted(icon(name), QIcon.Mode.Disabled)) < 130, name


def test_every_command_names_an_icon_that_there_is() -> None:
    assert {command.icon for command in COMMANDS.values()} - {""} <= set(_GLYPHS)


def test_the_window_changes_its_icons_with_the_theme(rig, application: QApplication) -> None:
    window = rig.show()
    for theme in ("dark", "light"):
        apply_theme(application, theme)
        QApplication.processEvents()
        for name in ("snapshot", "pause"):
            strongest = max(painted(window.actions_by_name[name].icon(), QIcon.Mode.Normal), key=QColor.alpha)
            assert (strongest.lightness() > 128) == (theme == "dark"), (theme, name)
