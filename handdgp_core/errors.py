"""The one exception tree of the project.

Every error a person can cause or meet carries three things: what was wanted, what was found, and what to do about
it. The command line prints them as one line and exits with 2; the window shows them as a message. Anything that is
not a `HandDGPError` is a bug and exits with 1.
"""

from __future__ import annotations


class HandDGPError(Exception):
    """Bad input or a missing part, with its cure.

    Args:
        wanted: what the program needed, e.g. "a video file that can be decoded".
        found: what it met instead, e.g. "clip.mp4 is 0 bytes long".
        cure: what the person can do, e.g. "copy the file again". May be empty where nothing can be done.
    """

    def __init__(self, wanted: str, found: str, cure: str = "") -> None:
        self.wanted = wanted
        self.found = found
        self.cure = cure
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One line: wanted, found, cure."""
        line = f"Wanted {self.wanted}; found {self.found}."
        return f"{line} {self.cure[0].upper()}{self.cure[1:]}." if self.cure else line


class UsageError(HandDGPError):
    """An argument, option or setting that makes no sense."""


class CameraError(HandDGPError):
    """Intrinsics that cannot be read, are not finite, or do not fit the image."""


class CalibrationError(HandDGPError):
    """Pictures of a board that cannot calibrate a camera, or measure a hand."""


class SourceError(HandDGPError):
    """A webcam, stream, video or folder that cannot be opened or has stopped giving frames."""


class AssetError(HandDGPError):
    """A file of the program's own that is missing or damaged."""


class WeightsError(HandDGPError):
    """A checkpoint that is not what its loader expects."""


class OutputError(HandDGPError):
    """A place that cannot be written, or a disk that is full."""


class ShapeError(HandDGPError, ValueError):
    """An array of the wrong shape or type at a public door."""
