"""A short click, so that a person who holds a board need not look at the screen."""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QObject, QUrl
from PyQt6.QtWidgets import QApplication

_RATE_HZ, _LENGTH_S, _TONE_HZ = 44100, 0.07, 1400.0


class ClickSound(QObject):
    """Plays a click by Qt's sound module where that works, else by the system's bell."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = tempfile.TemporaryDirectory(prefix="handdgp-")
        self._effect = self._load()

    def play(self) -> None:
        """Click, now."""
        if self._effect is None:
            QApplication.beep()
        else:
            self._effect.play()

    def close(self) -> None:
        """Remove the file that the sound was read from."""
        self._effect = None
        self._folder.cleanup()

    def _load(self) -> Any:
        """A QSoundEffect, or None where Qt's sound module does not load or there is nothing to play on."""
        try:
            from PyQt6.QtMultimedia import QMediaDevices, QSoundEffect
        except ImportError:
            return None
        if not QMediaDevices.audioOutputs():
            return None
        path = Path(self._folder.name) / "click.wav"
        _write_click(path)
        effect = QSoundEffect(self)
        effect.setSource(QUrl.fromLocalFile(str(path)))
        return effect


def _write_click(path: Path) -> None:
    time_s = np.arange(int(_RATE_HZ * _LENGTH_S)) / _RATE_HZ
    tone = np.sin(2 * np.pi * _TONE_HZ * time_s) * np.exp(-time_s / 0.015)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes((0.5 * 32767 * tone).astype("<i2").tobytes())
