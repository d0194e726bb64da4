"""The few questions that the window asks with a dialog: which file, folder or address. No answer is an empty text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtWidgets import QFileDialog, QInputDialog, QWidget

_VIDEOS = "Videos (*.mp4 *.mov *.avi *.mkv *.webm *.m4v *.mpg *.mpeg *.wmv);;All files (*)"
_SESSIONS = "Recordings (*.mcap *.mcap.part);;All files (*)"
CALIBRATION_SUFFIXES = (".yaml", ".yml", ".xml")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
_CALIBRATIONS = f"Calibrations ({' '.join(f'*{suffix}' for suffix in CALIBRATION_SUFFIXES)});;All files (*)"
_CHECKPOINTS = f"Checkpoints ({' '.join(f'*{suffix}' for suffix in CHECKPOINT_SUFFIXES)});;All files (*)"


def ask_video(parent: QWidget, folder: str) -> str:
    """A video file."""
    return QFileDialog.getOpenFileName(parent, "Open video", folder, _VIDEOS)[0]


def ask_session(parent: QWidget, folder: str) -> str:
    """A recorded session."""
    return QFileDialog.getOpenFileName(parent, "Open recording", folder, _SESSIONS)[0]


def ask_image_folder(parent: QWidget, folder: str) -> str:
    """A folder of images."""
    return QFileDialog.getExistingDirectory(parent, "Open folder of images", folder)


def ask_url(parent: QWidget) -> str:
    """The address of a stream."""
    question = "Address of the stream, for example rtsp://192.168.0.20/stream:"
    url, accepted = QInputDialog.getText(parent, "Open stream URL", question)
    return url.strip() if accepted else ""


def ask_calibration(parent: QWidget, folder: str) -> str:
    """A calibration file."""
    return QFileDialog.getOpenFileName(parent, "Load calibration", folder, _CALIBRATIONS)[0]


def ask_checkpoint(parent: QWidget, folder: str) -> str:
    """A file with the weights of a model."""
    return QFileDialog.getOpenFileName(parent, "Load checkpoint", folder, _CHECKPOINTS)[0]


def ask_output_folder(parent: QWidget, folder: Path) -> str:
    """A folder to write to."""
    return QFileDialog.getExistingDirectory(parent, "Choose folder", str(folder))


def recent_folder(recent_sources: Sequence[str]) -> str:
    """Where the newest of these that is a file lies; the home folder where none does."""
    for spec in recent_sources:
        path = Path(spec)
        if path.is_absolute() and path.parent.is_dir():
            return str(path.parent)
    return str(Path.home())
