"""A camera that sees a rendered board, moved as a patient person would move it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from calib.boards import Board
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.protocol import BaseSource
from handdgp_core.sources.webcam import LensState
from handdgp_core.types import Frame
from tools.calibration.simulation import BoardRenderer, Picture

CAMERA = Camera(640, 360, np.array([[460, 0, 322.0], [0, 459, 176], [0, 0, 1]]), np.array([0.05, -0.1, 0, 0]))
PERIOD_NS = 33_000_000


class RenderedCamera(BaseSource):
    """Gives the board at the pose that `pose` names; None shows no board.

    Args:
        board: what is held.
        pose: asked for each frame.
    """

    is_live = True
    name = "rendered camera"
    identity = "rendered-camera-1"
    pixel_format = "MJPG"

    def __init__(self, board: Board, pose: Callable[[], Array | None], lens: LensState | None = None) -> None:
        super().__init__()
        self.lens = lens or LensState(0.0, 30.0, 100.0)
        self._renderer = BoardRenderer(board, CAMERA)
        self._pose, self._random, self._index = pose, np.random.default_rng(0), 0
        self._closed = threading.Event()

    @property
    def size(self) -> tuple[int, int]:
        return CAMERA.size

    def read(self, timeout_s: float = 0.5) -> Frame | None:
        if self._closed.wait(0.002):
            return None
        pose = self._pose()
        if pose is None:
            time.sleep(0.01)
            grey = np.full((360, 640), 120, np.uint8)
        else:
            grey = self._renderer.render(pose, Picture(), self._random)
        self._index += 1
        # Stamps as of 30 frames a second, however slow the machine is.
        return Frame(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), self._index * PERIOD_NS, self._index)

    def close(self) -> None:
        self._closed.set()
