"""One look at the board: which corners were seen, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError

__all__ = ["MIN_CORNERS", "View", "common_size"]

MIN_CORNERS = 8  # a view with fewer says next to nothing beyond its own pose


@dataclass(frozen=True)
class View:
    """Corners of the board in one picture.

    Attributes:
        ids: (N,) which corners of the board.
        corners_px: (N, 2) where they are, pixels.
        size: (width, height) of the picture.
        name: of the picture, to show to the user.
    """

    ids: NDArray[np.int32]
    corners_px: Array
    size: tuple[int, int]
    name: str = ""

    def __len__(self) -> int:
        return len(self.ids)


def common_size(views: Sequence[View]) -> tuple[int, int]:
    """The one picture size of all views.

    Raises:
        CalibrationError: no view at all, or several sizes.
    """
    sizes = Counter(view.size for view in views)
    if not sizes:
        raise CalibrationError("No picture shows the board.", hint="Use sharp, well lit pictures of the board named.")
    if len(sizes) > 1:
        listed = ", ".join(f"{count} of {width}x{height}" for (width, height), count in sizes.most_common())
        raise CalibrationError(
            f"The views are of several picture sizes: {listed}.",
            hint="Calibrate every picture size on its own: a camera may crop differently at each.",
        )
    return next(iter(sizes))
