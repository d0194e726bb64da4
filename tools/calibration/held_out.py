"""Calibrators compared on real pictures of boards, by views that they were not given.

`python -m tools.calibration.held_out FOLDER BOARD [FOLDER BOARD ...]` calibrates with every other view and puts the
board into the rest, then the other way round. mrcal takes part where its programs are installed (Debian package
`mrcal`); its time is not measured, for it runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import cv2
import numpy as np

from calib.board_shape import shaped_points
from calib.boards import Board
from calib.detection import BoardDetector
from calib.initial import board_pose
from calib.lens_choice import blind_share
from calib.solve import solve
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera

__all__ = ["main", "views_in"]


@dataclass(frozen=True)
class _Answer:
    camera: Camera
    points_m: Array
    label: str = ""


_Calibrator = Callable[[Board, Sequence[View]], _Answer]


def _ours(board: Board, views: Sequence[View]) -> _Answer:
    solution = solve(board, views)
    return _Answer(solution.camera, shaped_points(board, solution.shape), solution.lens.name)


def _opencv(flags: int) -> _Calibrator:
    def calibrate(board: Board, views: Sequence[View]) -> _Answer:
        objects = [board.points_m[view.ids].astype(np.float32) for view in views]
        corners = [view.corners_px.astype(np.float32).reshape(-1, 1, 2) for view in views]
        guess = Camera.assumed(*views[0].size).matrix.copy()
        flags_of = flags | cv2.CALIB_USE_INTRINSIC_GUESS
        _, matrix, lens, *_ = cv2.calibrateCamera(objects, corners, views[0].size, guess, np.zeros(14), flags=flags_of)
        count = 8 if flags & cv2.CALIB_RATIONAL_MODEL else 5
        return _Answer(Camera(*views[0].size, np.asarray(matrix), np.ravel(lens)[:count]), board.points_m)

    return calibrate


def _mrcal(board: Board, views: Sequence[View]) -> _Answer:
    """The programs of mrcal on the same corners; whole chessboards alone."""
    with tempfile.TemporaryDirectory() as name:
        folder, (across, down) = Path(name), board.grid
        lines = ["# filename x y level"]
        for number, view in enumerate(views):
            picture = np.zeros(view.size[::-1], dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
            lines += [f"{number:03d}.png {x:.6f} {y:.6f} 0" for x, y in view.corners_px]
        (folder / "corners.vnl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [
            "mrcal-calibrate-cameras", "--corners-cache", "corners.vnl", "--lensmodel", "LENSMODEL_OPENCV8",
            "--focal", str(Camera.assumed(*views[0].size).matrix[0, 0]),
            "--object-spacing", str(0.001 * board.square_mm),
            "--object-width-n", str(across), "--object-height-n", str(down), "--imagersize", *map(str, views[0].size),
            "*.png",
        ]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
        return _Answer(Camera.load(next(folder.glob("*.cameramodel"))), board.points_m)


def _calibrators(board: Board, views: Sequence[View]) -> dict[str, _Calibrator]:
    named = {"ours": _ours, "OpenCV 5": _opencv(0), "OpenCV 8": _opencv(cv2.CALIB_RATIONAL_MODEL)}
    if which("mrcal-calibrate-cameras") and all(len(view) == board.corner_count for view in views):
        named["mrcal 8"] = _mrcal
    return named


def _held_out_px(answer: _Answer, views: Sequence[View]) -> float:
    """Root of the mean squared distance of the corners of views, each with a pose of its own."""
    squares = [len(view) * 2 * board_pose(answer.points_m, view, answer.camera)[1] ** 2 for view in views]
    return float(np.sqrt(sum(squares) / sum(map(len, views))))


def views_in(folder: Path, board: Board) -> list[View]:
    """The board in every picture of a folder that has the commonest size."""
    detector, views = BoardDetector(board), []
    for file in sorted(folder.iterdir()):
        grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        view = None if grey is None else detector.detect(np.asarray(grey, dtype=np.uint8), file.name)
        views += [] if view is None else [view]
    size = Counter(view.size for view in views).most_common(1)[0][0]
    return [view for view in views if view.size == size]


def _compare(folder: Path, board: Board, views: list[View]) -> None:
    for name, calibrate in _calibrators(board, views).items():
        errors, focal, blind, labels, spent = [], [], [], [], 0.0
        try:
            for first in (0, 1):
                began = time.process_time()
                answer = calibrate(board, views[first::2])
                spent += time.process_time() - began
                errors.append(_held_out_px(answer, views[1 - first :: 2]))
                focal.append(answer.camera.focal_px[0])
                blind.append(100 * blind_share(answer.camera))
                labels.append(answer.label)
        except (cv2.error, subprocess.SubprocessError, HandDGPError) as error:
            print(f"{folder.name:24} {name:9} failed: {str(error)[:80]}")
            continue
        rms = float(np.sqrt(np.mean(np.square(errors))))
        print(
            f"{folder.name:24} {name:9} views {len(views):3}  held-out rms {rms:6.3f} px"
            f"  f {focal[0]:7.1f} {focal[1]:7.1f}  no answer {max(blind):4.1f} %"
            f"  cpu {spent / 2:5.2f} s  {' '.join(labels)}",
            flush=True,
        )


def main() -> None:
    """Print a line for every set and calibrator."""
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        raise SystemExit(__doc__)
    for folder, spec in zip(arguments[::2], arguments[1::2], strict=True):
        board = Board.parse(spec)
        _compare(Path(folder), board, views_in(Path(folder), board))


if __name__ == "__main__":
    main()
