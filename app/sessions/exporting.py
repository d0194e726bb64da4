"""The recorded results of a part of a recording, into files for other programs. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from handdgp_core.export.exporter import ExportOptions, open_exporters
from handdgp_core.files import locked_output, prepare_output
from handdgp_core.sessions import DamagedFrame, SessionReader
from handdgp_core.sources.cameras import CameraChooser, with_camera

__all__ = ["Exported", "export_recorded"]

_DEFAULT_FPS = 30.0


@dataclass
class Exported:
    """What became of an export.

    Attributes:
        frames, hands: written.
        without_result: frames that the model never saw, written without hands.
        damaged: frames that cannot be read, or whose result cannot; the former are skipped.
        files: how many there are.
        is_cancelled: whether the rest was left out.
    """

    frames: int = 0
    hands: int = 0
    without_result: int = 0
    damaged: int = 0
    files: int = 0
    is_cancelled: bool = False


def export_recorded(
    session: SessionReader,
    output: Path,
    formats: Sequence[str],
    first: int = 0,
    last: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Event | None = None,
) -> Exported:
    """Write frames `first` to `last` (both included; None: the last one) in each of the formats.

    Args:
        session: a recording.
        output: the folder; made where it is missing.
        formats: names as in `handdgp_core.export.exporter.NAMES`.
        first, last: frame numbers from 0.
        progress: gets the share that is done, 0 to 1.
        cancelled: set it to end: what was written until then is kept.

    Raises:
        OutputError: the folder cannot be written.
        ImportError: a format needs a package that is not installed.
    """
    stop, done = cancelled or Event(), Exported()
    end = session.frame_count if last is None else min(last + 1, session.frame_count)
    options = ExportOptions(fps=session.nominal_fps or _DEFAULT_FPS)
    cameras = CameraChooser()
    with (
        locked_output(prepare_output(output)) as folder,
        open_exporters(tuple(formats), folder, options) as exporters,
    ):
        for number in range(first, end):
            if stop.is_set():
                done.is_cancelled = True
                break
            try:
                frame = session.frame(number)
            except DamagedFrame:
                done.damaged += 1
                continue
            try:
                recorded = session.hands(number)
                done.without_result += recorded is None
            except DamagedFrame:
                recorded = None
                done.damaged += 1
            hands = [] if recorded is None else recorded.hands
            seen = cameras.choose_or_assume(frame) if recorded is None else with_camera(frame, recorded.camera)
            exporters.add(seen, hands, seen.used_camera)
            done.frames, done.hands = done.frames + 1, done.hands + len(hands)
            progress((number + 1 - first) / max(1, end - first))
    done.files = len(exporters.files)
    return done
