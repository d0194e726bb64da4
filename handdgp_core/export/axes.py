"""Camera axes that exports can be written in. Every one is a rotation of the OpenCV frame, so winding is kept.

opencv   x right, y down, z forward (away from the camera): this program's own
opengl   x right, y up, z towards the viewer; also what glTF viewers expect
blender  x right, y forward, z up: a camera that looks along +y in Blender's world
"""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import UsageError

_TARGET_FROM_OPENCV: dict[str, tuple[tuple[int, int, int], ...]] = {
    "opencv": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "opengl": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "blender": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
}
_IN_WORDS = {
    "opencv": "x right, y down, z forward",
    "opengl": "x right, y up, z towards the viewer",
    "blender": "x right, y forward, z up",
}
NAMES = tuple(_TARGET_FROM_OPENCV)


def target_from_opencv(name: str) -> Array:
    """(3, 3) rotation: p_target = target_from_opencv(name) @ p_opencv.

    Raises:
        UsageError: an unknown name.
    """
    return np.array(_TARGET_FROM_OPENCV[_known(name)], dtype=np.float64)


def describe(name: str) -> str:
    """The axes in words, for the head of a file, e.g. "opencv (x right, y down, z forward)".

    Raises:
        UsageError: an unknown name.
    """
    return f"{_known(name)} ({_IN_WORDS[name]})"


def _known(name: str) -> str:
    if name not in _TARGET_FROM_OPENCV:
        raise UsageError(f"There are no camera axes {name!r}.", hint=f"Choose one of {', '.join(NAMES)}.")
    return name
