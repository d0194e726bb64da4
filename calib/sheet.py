"""A plain sheet of paper in place of a board: everybody has one, and its size is known to a millimetre.

Good for one thing, the length of a hand that lies on it: four corners fix the sheet's plane and scale, whatever the
focal length, but say nothing of the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.initial import board_pose
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["A4", "LETTER", "Sheet", "SheetDetector"]

_LOOKED_AT_PX = 960  # width of the picture that the sheet is looked for in
_LEAST_AREA = 0.06  # of the picture
_LEAST_FILL = 0.94  # of the four-sided outline by the hull of what is white
_LEAST_EDGE = 0.3  # of every edge must be free of hand and arm
_NEAR_EDGE = 0.012  # of the outline's diagonal: how far from an edge its points may lie
_BORDER_PX = 3
_CLEAR = 1.5  # times the reprojection error: how much worse the sheet turned by a quarter must fit


@dataclass(frozen=True)
class Sheet:
    """A sheet of paper. Its frame is that of a `Board`: origin at a corner, x along the first side, z into the table.

    Attributes:
        name: "A4" or "Letter".
        size_mm: width and height.
    """

    name: str
    size_mm: tuple[float, float]

    @cached_property
    def points_m(self) -> Array:
        """(4, 3) corners: top left, top right, bottom right, bottom left."""
        width, height = (0.001 * side for side in self.size_mm)
        return np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]])

    @property
    def outline_m(self) -> Array:
        """The corners, as of a `Board`."""
        return self.points_m


A4, LETTER = Sheet("A4", (210.0, 297.0)), Sheet("Letter", (215.9, 279.4))


class SheetDetector:
    """Finds a white sheet on a darker or coloured table, a hand and an arm on it.

    Args:
        sheet: its size tells which side is which.
        camera: of the pictures; an assumed one will do.
    """

    def __init__(self, sheet: Sheet, camera: Camera) -> None:
        self.sheet, self.camera = sheet, camera

    def detect(self, image: NDArray[np.uint8]) -> View | None:
        """The four corners in (height, width, 3) uint8 RGB; None where no whole sheet is seen."""
        contour = _white_contour(image)
        outline = None if contour is None else _four_sided(contour, image.shape[1::-1])
        if contour is None or outline is None:
            return None
        corners = self._refined(contour, outline)
        return None if corners is None else self._placed(corners, (image.shape[1], image.shape[0]))

    def _refined(self, contour: Array, outline: Array) -> Array | None:
        """(4, 2) where lines through the contour along each side meet, in the plane that the lens does not bend."""
        near = _NEAR_EDGE * float(np.linalg.norm(outline[2] - outline[0]))
        lines = []
        for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            side = end - start
            length = float(np.linalg.norm(side))
            along = (contour - start) @ side / length**2
            off = (contour - start) @ np.array([-side[1], side[0]]) / length
            points = contour[(np.abs(off) < near) & (along > 0.04) & (along < 0.96)]
            free = np.unique((along[(np.abs(off) < near)] * 50).astype(int))
            if len(points) < 10 or len(free[(free >= 2) & (free < 48)]) < _LEAST_EDGE * 46:
                return None
            flat = self.camera.rays(points)[:, :2].astype(np.float32)
            vx, vy, x, y = cv2.fitLine(flat, cv2.DIST_HUBER, 0, 1e-4, 1e-6).ravel().astype(np.float64)
            lines.append(np.array([-vy, vx, vy * x - vx * y]))
        meets = [np.cross(lines[index - 1], lines[index]) for index in range(4)]
        rays = np.array([[point[0] / point[2], point[1] / point[2], 1.0] for point in meets])
        corners = self.camera.project(rays)
        return corners if np.isfinite(corners).all() else None

    def _placed(self, corners: Array, size: tuple[int, int]) -> View | None:
        """The corners numbered so that long sides are long; None where both ways fit about alike."""
        ways = [View(np.arange(4, dtype=np.int32), np.roll(corners, shift, axis=0), size) for shift in (0, 1)]
        misfits = [board_pose(self.sheet.points_m, view, self.camera)[1] for view in ways]
        best = int(np.argmin(misfits))
        return ways[best] if misfits[1 - best] > _CLEAR * misfits[best] else None


def _white_contour(image: NDArray[np.uint8]) -> Array | None:
    """(N, 2) outline of the largest white patch, pixels of the image."""
    scale = min(1.0, _LOOKED_AT_PX / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    low, high = small.min(axis=2).astype(np.int16), small.max(axis=2).astype(np.int16)
    whiteness = cv2.GaussianBlur(np.clip(2 * low - high, 0, 255).astype(np.uint8), (0, 0), 1.0)  # skin is coloured
    _, mask = cv2.threshold(whiteness, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < _LEAST_AREA * mask.size:
        return None
    return (largest[:, 0].astype(np.float64) + 0.5) / scale - 0.5


def _four_sided(contour: Array, size: tuple[int, int]) -> Array | None:
    """(4, 2) clockwise corners of the patch, or None where it has another form or is cut off by the picture."""
    hull = cv2.convexHull(contour.astype(np.float32))
    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.02, 0.03, 0.05):
        outline = cv2.approxPolyDP(hull, share * length, True)[:, 0].astype(np.float64)
        if len(outline) == 4:
            break
    else:
        return None
    inside = (outline > _BORDER_PX) & (outline < np.array(size) - 1 - _BORDER_PX)
    areas = cv2.contourArea(hull), cv2.contourArea(outline.astype(np.float32))
    if not inside.all() or min(areas) < _LEAST_FILL * max(areas):
        return None
    (x, y), (u, v) = outline[1] - outline[0], outline[2] - outline[1]
    return outline if x * v - y * u > 0 else outline[::-1]
