"""The one exception tree of the project.

Every error that a user can cause or meet is a sentence that says what failed and why, and where possible a hint that
says what to do. The command line prints both as one line and exits with 2; the window shows them as a notification.
Anything that is not a `HandDGPError` is a bug and exits with 1.
"""

from __future__ import annotations


class HandDGPError(Exception):
    """Bad input or a missing part, with a hint what to do about it.

    Args:
        problem: the sentence that says what failed and why, e.g. "Could not open clip.mp4: the file is empty."
        hint: what the user can do, a sentence too: "Copy the file again." Empty where nothing can be done.
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        self.problem, self.hint = problem, hint
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One line: the problem, then the hint."""
        return f"{self.problem} {self.hint}" if self.hint else self.problem


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
