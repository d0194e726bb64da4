"""Draws hands over the camera image: mesh, keypoints coloured by weight, root and distance. NumPy and OpenCV only.

Reading the drawing:
    dots        the 2D keypoints that went into the solve, dark (weight 0) to bright yellow (weight 1)
    rings       keypoints that are muted (weight exactly 0)
    bones       between the solved 3D keypoints, projected with the camera
    diamonds    the solved 3D keypoints; a thin line joins each to its 2D keypoint, so its length is the residual
    cross       the root
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import DARK, HAND_COLOURS, LIGHT, WARNING, weight_colours
from handdgp_core.drawing.raster import NEAREST_M, ProjectedMesh, paint_mesh, paint_wires
from handdgp_core.drawing.text import draw_text, text_size
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import BONES
from handdgp_core.hands.palm import palm_m
from handdgp_core.types import Hand

_SUBPIXEL_BITS = 4  # OpenCV draws with coordinates in sixteenths of a pixel
_REACH_PX = 16_000  # OpenCV's fixed-point coordinates stay safe within this
_Place = Sequence[int] | None  # fixed-point (x, y), or None where a point cannot be drawn
_FULL_SIZE_HAND = 0.25  # of the image's longer side: from there on, marks have their full size
_WIRE_OPACITY = 0.45
_REFERENCE_WIDTH_PX = 1280  # sizes below are pixels of an image this wide, and grow with the image


@dataclass(frozen=True)
class OverlayStyle:
    """What is drawn.

    Attributes:
        mesh: the shaded surface.
        opacity: of the surface, 0 to 1.
        wireframe: the visible edges of the mesh.
        keypoints: dots (2D keypoints) and bones.
        projected: the solved 3D keypoints as diamonds, with their residual lines.
        root: the cross.
        labels: hand side and distance, or the reason why there is none.
        mirrored: the result is the mirror image, with labels that read the right way round.
        full_weight: the weight that gets the brightest colour.
        scale: factor on the size of lines, dots and labels, on top of what follows from the image size.
    """

    mesh: bool = True
    opacity: float = 0.55
    wireframe: bool = False
    keypoints: bool = True
    projected: bool = True
    root: bool = True
    labels: bool = True
    mirrored: bool = False
    full_weight: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name, good in (
            ("opacity", 0.0 <= self.opacity <= 1.0),
            ("full_weight", self.full_weight > 0.0),
            ("scale", 0.0 < self.scale < 100.0),
        ):
            if not good:
                raise UsageError(f"The overlay's {name} is out of range: {getattr(self, name)}.")


def draw_hands(
    image: NDArray[np.uint8], hands: Sequence[Hand], camera: Camera, style: OverlayStyle | None = None
) -> NDArray[np.uint8]:
    """The image with the hands drawn over it; `image` itself is left as it is.

    Args:
        image: (height, width, 3) uint8 RGB, not mirrored, distorted as the camera gave it.
        hands: in the frame of `camera`; the nearest is drawn last. Degenerate hands get their 2D keypoints and reason.
        camera: of this image size.
        style: what to draw; all but the wireframe by default.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ShapeError: the image is not 8-bit RGB, or not of the camera's size.
    """
    if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
        expected = f"({camera.height}, {camera.width}, 3) and type uint8, as its camera has it"
        raise ShapeError(
            f"The image must be of shape {expected}, not {image.shape} {image.dtype}.",
            hint="Use Camera.scaled_to for images of another size.",
        )
    style = style or OverlayStyle()
    canvas = np.asarray(cv2.flip(image, 1), dtype=np.uint8) if style.mirrored else image.copy()
    far_first = sorted(hands, key=lambda hand: -np.nan_to_num(hand.root_m[2], nan=np.inf))
    painters = [_HandPainter(canvas, hand, camera, style) for hand in far_first]
    for painter in painters:
        painter.paint()
    if style.labels:
        for painter in painters:
            painter.paint_label()  # above every hand
    return canvas


def project_visible(points_m: Array, camera: Camera) -> Array:
    """(N, 2) pixels of points in the camera frame; NaN for those that the camera cannot see in front of it.

    Args:
        points_m: (N, 3) camera frame.
        camera: its distortion is applied.
    """
    points_m = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
    in_front = np.isfinite(points_m).all(axis=1) & (points_m[:, 2] > NEAREST_M)
    return camera.project(np.where(in_front[:, None], points_m, np.nan))


class _Points:
    """Pixels of the canvas, ready for OpenCV: fixed-point, and None where there is no such place."""

    def __init__(self, pixels: Array) -> None:
        self.pixels = pixels
        drawable: NDArray[np.bool_] = np.all(np.abs(pixels) < _REACH_PX, axis=1)  # false for NaN as well
        fixed = _fixed(np.where(drawable[:, None], pixels, 0.0)).tolist()
        self.fixed = [point if good else None for point, good in zip(fixed, drawable.tolist(), strict=True)]


class _HandPainter:
    """Paints one hand into a canvas that is already mirrored where that is wanted."""

    def __init__(self, canvas: NDArray[np.uint8], hand: Hand, camera: Camera, style: OverlayStyle) -> None:
        self.canvas, self.hand, self.camera, self.style = canvas, hand, camera, style
        self.height, self.width = canvas.shape[:2]
        self.text_unit = style.scale * max(self.width, self.height) / _REFERENCE_WIDTH_PX
        self.colour = HAND_COLOURS[hand.handedness]
        self.colours = weight_colours(hand.weights, style.full_weight).tolist()
        self.predicted = _Points(self._placed(np.asarray(hand.keypoints_px, dtype=np.float64).reshape(-1, 2)))
        self.solved = _Points(self._placed(project_visible(hand.keypoints_m, camera)))
        self.unit = self.text_unit * self._share_of_full_size()

    def paint(self) -> None:
        """Everything that the style asks for but the label, from back to front."""
        solved = self.hand.degenerate is None
        if solved:
            self._paint_surface()
        if self.style.keypoints:
            self._paint_bones(self.solved if solved else self.predicted)
            self._paint_keypoints()
        if solved and self.style.keypoints and self.style.projected:
            self._paint_solved_keypoints()
        if solved and self.style.root:
            self._paint_root()

    def _share_of_full_size(self) -> float:
        """Marks on a small hand are smaller, down to a half, so that they do not hide it."""
        places = self.predicted.pixels[np.isfinite(self.predicted.pixels).all(axis=1)]
        extent = float(np.ptp(places, axis=0).max()) if len(places) else 0.0
        return float(np.clip(extent / (_FULL_SIZE_HAND * max(self.width, self.height)), 0.5, 1.0))

    def _placed(self, pixels: Array) -> Array:
        """Pixels of the camera image as pixels of the canvas."""
        if self.style.mirrored:
            return np.stack([self.width - 1 - pixels[:, 0], pixels[:, 1]], axis=1)
        return pixels

    def _paint_surface(self) -> None:
        if not (self.style.mesh or self.style.wireframe) or not len(self.hand.vertices_m):
            return
        vertices_m = np.asarray(self.hand.vertices_m, dtype=np.float64)
        pixels = self._placed(project_visible(vertices_m, self.camera))
        mesh = ProjectedMesh(vertices_m, pixels, np.asarray(self.hand.faces, dtype=np.int32))
        if self.style.mesh:
            paint_mesh(self.canvas, mesh, self.colour, self.style.opacity)
        if self.style.wireframe:
            paint_wires(self.canvas, mesh, LIGHT, _WIRE_OPACITY * self.style.opacity)

    def _paint_bones(self, ends: _Points) -> None:
        for parent, child in BONES:
            self._line(ends.fixed[parent], ends.fixed[child], DARK, 4.0)
        for parent, child in BONES:
            self._line(ends.fixed[parent], ends.fixed[child], self.colours[child], 2.0)

    def _paint_keypoints(self) -> None:
        for point, colour, weight in zip(self.predicted.fixed, self.colours, self.hand.weights.tolist(), strict=True):
            if weight > 0.0:
                self._circle(point, 6.6, DARK, cv2.FILLED)
                self._circle(point, 5.4, colour, cv2.FILLED)
            else:
                self._circle(point, 5.6, DARK, self._thickness(3.2))
                self._circle(point, 5.6, LIGHT, self._thickness(1.4))

    def _paint_solved_keypoints(self) -> None:
        for solved, predicted in zip(self.solved.fixed, self.predicted.fixed, strict=True):
            self._line(solved, predicted, LIGHT, 1.0)
        for solved in self.solved.fixed:
            self._diamond(solved, 3.8, DARK)
            self._diamond(solved, 2.6, LIGHT)

    def _paint_root(self) -> None:
        root = self._placed(project_visible(self.hand.root_m[None], self.camera))
        arm = 11.0 * self.unit
        left, right, upper, lower = _Points(root + np.array([[-arm, 0], [arm, 0], [0, -arm], [0, arm]])).fixed
        for colour, thickness in ((DARK, 5.0), (LIGHT, 2.2)):
            self._line(left, right, colour, thickness)
            self._line(upper, lower, colour, thickness)

    def paint_label(self) -> None:
        """Above the keypoints, kept inside the image."""
        inside = self.predicted.pixels[np.isfinite(self.predicted.pixels).all(axis=1)]
        middle, top = (inside[:, 0].mean(), inside[:, 1].min()) if len(inside) else (self.width / 2, 0.0)
        text, size = hand_label(self.hand, self.camera), max(26.0 * self.text_unit, 9.0)
        width, height = text_size(text, size)
        left = float(np.clip(middle - width / 2, 0, max(self.width - width, 0)))
        upper = float(np.clip(top - height - 14 * self.text_unit, 0, max(self.height - height, 0)))
        accent = self.colour if self.hand.degenerate is None else WARNING
        draw_text(self.canvas, text, (round(left), round(upper)), size, LIGHT, accent)

    def _thickness(self, pixels: float) -> int:
        return max(1, round(pixels * self.unit))

    def _line(self, start: _Place, end: _Place, colour: Sequence[int], thickness: float) -> None:
        if start is not None and end is not None:
            cv2.line(self.canvas, start, end, colour, self._thickness(thickness), cv2.LINE_AA, _SUBPIXEL_BITS)

    def _circle(self, centre: _Place, radius: float, colour: Sequence[int], thickness: int) -> None:
        if centre is not None:
            size = max(1, round(radius * self.unit * 2**_SUBPIXEL_BITS))
            cv2.circle(self.canvas, centre, size, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _diamond(self, centre: _Place, radius: float, colour: Sequence[int]) -> None:
        if centre is not None:
            arm = round(radius * self.unit * 2**_SUBPIXEL_BITS)
            x, y = centre
            corners = np.array([[x, y - arm], [x + arm, y], [x, y + arm], [x - arm, y]], dtype=np.int32)
            cv2.fillConvexPoly(self.canvas, corners, colour, cv2.LINE_AA, _SUBPIXEL_BITS)


def hand_label(hand: Hand, camera: Camera) -> str:
    """Side and distance of the palm, "right palm 31.4 cm", with "~" for an assumed camera; or why there is none."""
    if hand.degenerate is not None:
        return f"{hand.handedness}: {hand.degenerate}"
    guess = "~" if camera.source == "assumed" else ""
    return f"{hand.handedness} palm {guess}{np.linalg.norm(palm_m(hand)) * 100:.1f} cm"


def _fixed(pixels: Array) -> NDArray[np.int32]:
    """Pixels as OpenCV's fixed-point coordinates."""
    return np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
