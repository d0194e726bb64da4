"""What the user is told when a recording ends by itself."""

from __future__ import annotations

from handdgp_core.errors import HandDGPError, OutputError
from handdgp_core.files import MIB

__all__ = ["nearly_full", "no_room", "too_slow", "with_loss"]

_KEPT = "Every frame until then is in the file."
_MORE_ROOM = "Free some space, or choose another recordings folder."


def too_slow(waiting: int) -> OutputError:
    """The queue is full."""
    return OutputError(
        f"The recording ended because this computer is slower than the camera: {waiting} frames were waiting. {_KEPT}",
        hint="Record to another disk, with a lower JPEG quality or image size, or with fewer programs running.",
    )


def nearly_full(left: str) -> OutputError:
    """Less is free than the recorder leaves to others."""
    return OutputError(f"The recording ended and was completed: {left}.", hint=_MORE_ROOM)


def no_room(found: str, open_bytes: int, waiting: int) -> OutputError:
    """What more comes might not fit.

    Args:
        found: what is the matter with the disk, e.g. "a full disk".
        open_bytes: room for frames, the reserve included.
        waiting: frames that will be written there.
    """
    left = f"{open_bytes / MIB:.1f} MiB left, the reserve included, and {waiting} frames were waiting for it"
    return OutputError(f"The recording ended because of {found}: {left}. {_KEPT}", hint=_MORE_ROOM)


def with_loss(error: HandDGPError, lost: int, taken: int) -> OutputError:
    """The same, and how many of the frames that the recorder had taken in are not in the file."""
    return OutputError(f"{error.problem} {lost} of the {taken} frames taken in could not be written.", hint=error.hint)
