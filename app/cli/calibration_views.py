"""What `calibrate` looks at: the views of the board in a folder, a video or a stream, and what was left out and why."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.progress import TaskID

from app.cli.console import progress_bar
from app.notices import count_of
from calib.boards import Board
from calib.detection import BoardDetector, to_grey
from calib.diagnosis import LikelyBoard, likely_board, measured_marker_mm
from calib.report_images import ViewImage, view_image
from calib.rolling_shutter import MovingViews
from calib.session import CalibrationSession, State
from calib.views import View
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.image_transform import stored_from_shown
from handdgp_core.sources.image_folder import NOT_AN_IMAGE, ImageFolderSource
from handdgp_core.sources.protocol import Source, frames
from handdgp_core.types import Frame

__all__ = ["Collected", "collect", "explain_few", "some"]

_KEPT = 5  # pictures with and without a board that are kept to look at once more
_MARKER_OFF = 0.05  # of the named size; measured ones are good to about 2 %

Grey = NDArray[np.uint8]


@dataclass
class Collected:
    """What was found.

    Attributes:
        views: of the board, all of one picture size once `keep_one_size` has run.
        frames: how many pictures were looked at.
        mirrored: names of those that were stored mirrored, which are skipped.
        without: names of those in which the board was not found.
        blank: some of these.
        examples: some pictures in which it was found.
        pictures: of the views, for the report.
        moving: views of a stream in which the board moves.
        remarks: sentences about what was left out or changed.
    """

    views: list[View] = field(default_factory=list)
    frames: int = 0
    mirrored: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    blank: list[Grey] = field(default_factory=list)
    examples: list[tuple[Grey, View]] = field(default_factory=list)
    pictures: list[ViewImage] = field(default_factory=list)
    moving: MovingViews = field(default_factory=MovingViews)
    remarks: list[str] = field(default_factory=list)

    def add(self, view: View | None, grey: Grey, name: str) -> None:
        """A picture and what was found in it."""
        if view is not None:
            self.views.append(view)
            self.pictures.append(view_image(grey, view))
            if len(self.examples) < _KEPT:
                self.examples.append((grey, view))
            return
        self.without.append(name)
        # Each picture is as likely to be kept as any other: a video often begins without the board.
        place = len(self.blank) if len(self.blank) < _KEPT else int(_RANDOM.integers(len(self.without)))
        if place < _KEPT:
            self.blank[place : place + 1] = [grey]


_RANDOM = np.random.default_rng(0)


def collect(source: Source, board: Board, every: int, cancelled: threading.Event) -> Collected:
    """Look for the board in every Nth picture; of several picture sizes the commonest is kept."""
    found = Collected()
    photographs = isinstance(source, ImageFolderSource)
    take: Callable[..., None] = _from_photographs(board, found) if photographs else _from_stream(board, found)
    total = source.frame_count
    turned: list[str] = []
    unknown: list[str] = []
    with progress_bar("calibrate", None if total is None else -(-total // every)) as bar:
        for frame in frames(source, cancelled):
            if frame.index % every:
                continue
            found.frames += 1
            name = frame.name or f"frame {frame.index}"
            grey = _sensor_grey(frame)
            if grey is None:
                found.mirrored.append(name)
                continue
            if frame.transform is not None and not frame.transform.is_known:
                unknown.append(name)
            elif frame.transform is not None and frame.transform.orientation != 1:
                turned.append(name)
            take(grey, frame.stamp_ns, name)
            bar.update(TaskID(0), advance=1, description=f"calibrate: {len(found.views)} views")
    if turned:
        found.remarks.append(f"Turned back to the sensor's pixels, in which calibrations are: {some(turned)}.")
    if unknown:
        found.remarks.append(
            f"The recording does not tell how its pictures were turned: taken as shown: {some(unknown)}."
        )
    if found.mirrored:
        found.remarks.append(f"Skipped, because they are stored mirrored: {some(found.mirrored)}.")
    if isinstance(source, ImageFolderSource):
        _remark_damaged(source, found)
    _keep_one_size(found)
    _remark_marker(board, found)
    if found.without:
        found.remarks.append(f"No board found in {count_of(len(found.without), 'picture')}: {some(found.without)}.")
    return found


def explain_few(board: Board, found: Collected) -> None:
    """Say why there are hardly any views, where it can be told.

    Raises:
        CalibrationError: no picture at all, another board, a mirror, or no view.
    """
    if found.mirrored and len(found.mirrored) == found.frames:
        raise CalibrationError(
            f"All {count_of(found.frames, 'picture')} are stored mirrored, so they do not show the sensor's pixels.",
            hint="Switch mirroring off in the camera's settings, and take them again.",
        )
    if found.frames == 0:
        raise CalibrationError("There are no pictures.", hint="Give a folder of images or a video.")
    likely = likely_board(board, found.blank)
    if likely is not None and (likely.mirrored or likely.board != board):
        raise _other_board(board, likely, len(found.blank))
    if found.views:
        return
    if len(found.without) + len(found.mirrored) < found.frames:
        raise CalibrationError(
            f"The board is sharp and still for a moment in none of {found.frames} frames.",
            hint="Hold it still at every place for half a second.",
        )
    raise CalibrationError(
        f"The board {board.spec} was found in none of {count_of(found.frames, 'picture')}.",
        hint="Check --board; show the whole board, sharp and well lit.",
    )


def some(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _other_board(board: Board, likely: LikelyBoard, tried: int) -> CalibrationError:
    shown = f"{likely.pictures} of {tried} pictures tried show"
    if not likely.mirrored:
        return CalibrationError(
            f"The board {board.spec} was not found, but {shown} {likely.board.spec}.",
            hint=f"Pass --board {likely.board.spec}, with the sizes in millimetres as you measure them.",
        )
    also = "" if likely.board == board else f" and pass --board {likely.board.spec}"
    return CalibrationError(
        f"The pictures are mirrored: {shown} {likely.board.spec} in a mirror.",
        hint=f"Switch mirroring off in the camera's settings, or flip the pictures back{also}.",
    )


def _sensor_grey(frame: Frame) -> Grey | None:
    """The frame as its sensor lies, whichever way the camera was held; None where it was stored mirrored."""
    grey, transform = to_grey(frame.image), frame.transform
    if transform is None:
        return grey
    return None if transform.is_mirrored else stored_from_shown(grey, transform.orientation)


def _from_photographs(board: Board, found: Collected) -> Callable[[Grey, int, str], None]:
    """Every picture in which the board is found."""
    detector = BoardDetector(board)
    return lambda grey, stamp_ns, name: found.add(detector.detect(grey, name), grey, name)


def _from_stream(board: Board, found: Collected) -> Callable[[Grey, int, str], None]:
    """Frames in which the board is sharp, still and new."""
    session = CalibrationSession(board, moving=found.moving)

    def take(grey: Grey, stamp_ns: int, name: str) -> None:
        look = session.look(grey, stamp_ns, name)
        if look.state in (State.NO_BOARD, State.MIRRORED, State.TAKEN):
            found.add(look.view, grey, name)

    return take


def _remark_damaged(source: ImageFolderSource, found: Collected) -> None:
    damaged = [f"{name} ({why})" for name, why in source.skipped if why != NOT_AN_IMAGE]
    if damaged:
        found.remarks.append(f"{count_of(len(damaged), 'file')} could not be read: {some(damaged)}.")


def _keep_one_size(found: Collected) -> None:
    sizes = Counter(view.size for view in found.views)
    if len(sizes) < 2:
        return
    (width, height), _ = sizes.most_common(1)[0]
    others = [f"{v.name} ({v.size[0]}x{v.size[1]})" for v in found.views if v.size != (width, height)]
    found.views = [view for view in found.views if view.size == (width, height)]
    found.remarks.append(f"Left out, because most pictures are {width}x{height}: {some(others)}.")


def _remark_marker(board: Board, found: Collected) -> None:
    if board.kind != "charuco" or not found.examples:
        return
    measured = measured_marker_mm(board, found.examples)
    if abs(measured / board.marker_mm - 1) > _MARKER_OFF:
        found.remarks.append(
            f"Markers look {measured:.1f} mm wide on squares of {board.square_mm:g} mm, not {board.marker_mm:g} mm: "
            "measure both and correct --board."
        )
