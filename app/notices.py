"""Notifications of the window: what happened, and what to do. No Qt."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app.environment import missing_part
from handdgp_core.errors import HandDGPError


class Severity(Enum):
    """How loud a message is; its value is the word shown before it."""

    INFO = "Note"
    WARNING = "Warning"
    ERROR = "Error"


class Action(Enum):
    """What a message offers to do; its value is the label of the button."""

    NONE = ""
    RETRY = "Retry"
    OPEN_FOLDER = "Open folder"
    REPLAY = "Replay"
    REPAIR = "Repair"
    USE_CALIBRATION = "Use it here"


@dataclass(frozen=True)
class Notice:
    """One message.

    Attributes:
        severity: how loud it is.
        title: one short sentence: what is the matter.
        text: what to do about it; may be empty.
        details: what a developer wants to see; shown on request.
        action: what the button of the message does.
        folder: the folder that `Action.OPEN_FOLDER` opens.
        path: the recording that `Action.REPLAY` opens and `Action.REPAIR` repairs.
        topic: a newer message of the same topic takes the place of an older one.
    """

    severity: Severity
    title: str
    text: str = ""
    details: str = ""
    action: Action = Action.NONE
    folder: Path | None = None
    path: Path | None = None
    topic: str = ""


# Below this part of a hand's square in the model's view its answer is not to be relied on.
LEAST_IN_VIEW = 0.5
IN_VIEW_HINT = "Move the hand away from the camera and towards the middle, or choose a model that follows the hand."


def in_view_title(part: float) -> str:
    """What is the matter with a hand of which the model sees little."""
    return f"The model sees {100 * part:.0f} % of the hand."


NO_RESULT_TITLE = "No result was recorded for this frame"
NO_RESULT_HINT = "The model was busy with another one. File > Complete results runs it on every such frame."
BEYOND_LENS_TITLE = "A hand lies where the calibrated lens has no answer."
BEYOND_LENS_HINT = "Move it towards the middle of the picture, or calibrate again with the board in the corners."


def notice_of_error(
    error: Exception, *, action: Action = Action.NONE, topic: str = "", details: str = "", log_path: Path | None = None
) -> Notice:
    """The message for an exception: a `HandDGPError` brings its hint, anything else is a bug."""
    details = details or "".join(traceback.format_exception(error))
    if isinstance(error, ImportError):
        error = missing_part(error) or error
    if isinstance(error, HandDGPError):
        return Notice(Severity.ERROR, error.problem, error.hint, details, action, topic=topic)
    where = f" The log is {log_path}." if log_path else ""
    return Notice(
        Severity.ERROR,
        f"Internal error: {type(error).__name__}: {error}",
        f"This is a bug. Please report it with the details.{where}",
        details,
        action,
        topic=topic,
    )


def count_of(count: int, thing: str) -> str:
    """A number with its noun: "1 frame", "20 frames"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
