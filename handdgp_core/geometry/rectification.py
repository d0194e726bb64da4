"""Rectification: the network's image as a virtual camera that shares the real camera's centre.

A virtual camera is a pure rotation of the real one (and, for a left hand, a mirror: the network sees right hands
only) with intrinsics of its own, so image and geometry follow from one exact homography, K_v M K^-1 with
M = virtual_from_camera. Lens distortion is removed on the way, for the pixels of the crop alone.

Three policies:

- `Rectification.fit`: the optical axis points at the hand, the hand stands upright, the focal length lets the hand's
  square fill the image. For a hand anywhere in view, at any distance.
- `Rectification.published`: the affine map K_c K^-1 to a canonical focal length, as in the HandDGP paper (supplement,
  1.3 and 4). No rotation, so a hand off the axis or nearer than the training data leaves the image: see `hand_in_view`.
- `Rectification.none`: the crop around the hand with its own intrinsics, for table 1's rows without rectification.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.camera import Camera

if TYPE_CHECKING:
    from handdgp_core.geometry.hand_crop import HandCrop

__all__ = ["Rectification", "lens_shows"]

Array = NDArray[np.float64]
Pixels = NDArray[np.integer[Any] | np.floating[Any]]

_MIRROR = np.diag([-1.0, 1.0, 1.0])
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)  # x right, y down; from the top left
_EDGES = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]], dtype=np.float64)
# Source pixels for each pixel of the crop from which on bilinear sampling alone would alias. Averaging goes by whole
# factors, which keep between 0.9 and 1.4 averaged pixels for each pixel of the crop.
_MINIFY = 1.75
_FAR_OUTSIDE = -1e6


@dataclass(frozen=True, eq=False)
class Rectification:
    """How the network's image and the camera's image and space map to each other. Make one with `fit` or `published`.

    Attributes:
        camera: the real camera, lens included.
        size: side of the square virtual image, pixels.
        matrix: (3, 3) K_v, intrinsics of the virtual camera; what DGP needs.
        virtual_from_camera: (3, 3) orthogonal; determinant -1 where a left hand is mirrored.
        square_px: (4, 2) corners of the hand's square in the camera's (distorted) image: top left, top right, bottom
            right, bottom left as the hand stands upright.
        only_square: whether `warp` shows the hand's square alone, black around it.
    """

    camera: Camera
    size: int
    matrix: Array
    virtual_from_camera: Array
    square_px: Array
    only_square: bool = False

    @classmethod
    def fit(cls, camera: Camera, crop: HandCrop, size: int = 224, fill: float = 1.0) -> Rectification:
        """A virtual camera that looks at the crop's centre, upright, and is filled by the crop's square.

        Args:
            camera: whose image the crop is in.
            crop: the hand's square. A left hand is mirrored.
            size: side of the virtual image, pixels.
            fill: part of the virtual image's side that the square takes. Its corners always stay within that part.

        Raises:
            UsageError: a crop without area or not finite, or centred outside what the lens shows, or wider than half
                of all directions; size or fill not positive.
        """
        square = _square(crop)
        _check_positive("fill", fill)
        size = _checked_size(size)
        center_ray, rays = _rays(camera, crop)
        to_virtual = _looking_along(center_ray, up=rays[4] - rays[6])
        if crop.handedness == "left":
            to_virtual = _MIRROR @ to_virtual
        rotated = rays @ to_virtual.T
        if (rotated[:, 2] <= 0).any():
            raise UsageError(f"The crop of half size {crop.half_size_px:g} px spans half of all directions or more.")
        reach = np.abs(rotated[:, :2] / rotated[:, 2:]).max()
        center = 0.5 * (size - 1)
        return cls(camera, size, _intrinsics(0.5 * fill * size / reach, center), to_virtual, square)

    @classmethod
    def published(cls, camera: Camera, crop: HandCrop, size: int = 224, focal_px: float = 1000.0) -> Rectification:
        """The canonical camera of the paper: `focal_px`, principal point (size / 2, size / 2), no rotation.

        The paper crops around the hand first and then maps the crop's intrinsics to the canonical ones. The crop
        drops out of the product, K_c (S K)^-1 S = K_c K^-1; what stays of it is that the image is black outside of
        the hand's square (`HandCrop.upright_square_px`). Pixels are sampled once, not twice.

        Args:
            camera: whose image the crop is in.
            crop: the hand's square. A left hand is mirrored. The roll is not undone.
            size: side of the virtual image, pixels.
            focal_px: 1000 for FreiHAND's weights, 500 for HO3D-v2's, 400 for Human3.6M's.

        Raises:
            UsageError: a crop without area or not finite; size or focal length not positive.
        """
        _check_positive("focal length", focal_px)
        size = _checked_size(size)
        to_virtual = _MIRROR if crop.handedness == "left" else np.eye(3)
        square = _upright(crop)
        return cls(camera, size, _intrinsics(focal_px, 0.5 * size), to_virtual, square, only_square=True)

    @classmethod
    def none(cls, camera: Camera, crop: HandCrop, size: int = 224, turn_rad: float = 0.0) -> Rectification:
        """The crop around the hand, resized, with its own intrinsics: the paper without its rectification (table 1).

        Args:
            camera: whose image the crop is in.
            crop: the hand's square. A left hand is mirrored. The roll is not undone.
            size: side of the virtual image, pixels.
            turn_rad: turns the image about the square's centre, and the camera about its axis with it.

        Raises:
            UsageError: a crop without area or not finite, or centred outside what the lens shows; size not positive.
        """
        size = _checked_size(size)
        square = _upright(crop)
        center, side = square.mean(axis=0), square[1, 0] - square[0, 0]
        ray = camera.rays(center)
        if not np.isfinite(ray).all():
            raise UsageError(f"The crop centred at {np.round(center, 1)} px is outside of what the lens shows.")
        cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
        to_virtual = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
        if crop.handedness == "left":
            to_virtual = to_virtual @ _MIRROR
        matrix = _intrinsics(0.5 * float(camera.matrix[0, 0] + camera.matrix[1, 1]) * size / side, 0.0)
        rotated = to_virtual @ ray
        matrix[:2, 2] = 0.5 * (size - 1) - matrix[0, 0] * rotated[:2] / rotated[2]
        return cls(camera, size, matrix, to_virtual, square)

    @property
    def mirrors(self) -> bool:
        """Whether the virtual image is mirrored (a left hand shown as a right one)."""
        return bool(np.linalg.det(self.virtual_from_camera) < 0)

    @cached_property
    def homography(self) -> Array:
        """(3, 3) crop_from_undistorted = K_v M K^-1, where undistorted pixels are those of K without the lens."""
        return self.matrix @ self.virtual_from_camera @ np.linalg.inv(self.camera.matrix)

    @cached_property
    def hand_in_view(self) -> float:
        """The part of the hand's square that lies inside the virtual image, 0 to 1. 1 for `fit` with fill <= 1."""
        steps = (np.arange(16) + 0.5) / 16
        across, down = np.meshgrid(steps, steps)
        weights = np.stack([(1 - across) * (1 - down), across * (1 - down), across * down, (1 - across) * down])
        points = self.crop_from_image(np.einsum("cij,cd->ijd", weights, self.square_px))
        return float(((points >= -0.5) & (points <= self.size - 0.5)).all(axis=-1).mean())

    def crop_from_image(self, pixels: ArrayLike) -> Array:
        """Virtual pixels (..., 2) of camera pixels (..., 2), lens removed. NaN behind the virtual camera."""
        return self._project(self.points_to_virtual(self.camera.rays(pixels)))

    def image_from_crop(self, pixels: ArrayLike) -> Array:
        """Camera pixels (..., 2), lens included, of virtual pixels (..., 2). NaN where the camera cannot see."""
        plane = self.normalised(pixels)
        rays = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
        return self.camera.project(self.points_to_camera(rays))

    def normalised(self, pixels: ArrayLike) -> Array:
        """Virtual pixels (..., 2) on the plane z = 1 of the virtual camera: K_v^-1 (u, v, 1) less its 1; for DGP."""
        return (np.asarray(pixels, dtype=np.float64) - self.matrix[:2, 2]) / self.matrix[[0, 1], [0, 1]]

    def points_to_camera(self, points: ArrayLike) -> Array:
        """Points or directions (..., 3) from the virtual camera's frame to the camera's (both share their origin)."""
        return np.asarray(points, dtype=np.float64) @ self.virtual_from_camera

    def points_to_virtual(self, points: ArrayLike) -> Array:
        """Points or directions (..., 3) from the camera's frame to the virtual camera's."""
        return np.asarray(points, dtype=np.float64) @ self.virtual_from_camera.T

    def covariance_to_camera(self, covariance: ArrayLike) -> Array:
        """Covariances (..., 3, 3) of points from the virtual camera's frame to the camera's."""
        return self.virtual_from_camera.T @ np.asarray(covariance, dtype=np.float64) @ self.virtual_from_camera

    def warp(self, image: Pixels) -> Pixels:
        """The network's image: undistorted, turned, mirrored where due, black where the camera saw nothing.

        Sampling is bilinear. Where the crop holds much more than one source pixel for each of its own, the source is
        first averaged down (area sampling, on the crop's part of the image only), so that nothing aliases.

        Args:
            image: (height, width, C) or (height, width), of the camera's size; uint8, uint16 or float32; C <= 4.

        Returns:
            (size, size, C) or (size, size), same type.

        Raises:
            ShapeError: an image of another size than the camera's, or of another type.
        """
        self._check_image(image)
        part, image_from_part = self._source_part(image)
        if part.size == 0:
            return np.zeros((self.size, self.size, *image.shape[2:]), dtype=image.dtype)
        if self.camera.has_distortion:
            scale, offset = image_from_part[0, 0], image_from_part[:2, 2]
            x, y = (((self._sources[axis] - offset[axis]) / scale).astype(np.float32) for axis in (0, 1))
            out = cv2.remap(part, x, y, cv2.INTER_LINEAR)
        else:
            part_from_crop = np.linalg.inv(self.homography @ image_from_part)
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            out = cv2.warpPerspective(part, part_from_crop, (self.size, self.size), flags=flags)
        return np.asarray(out).reshape(self.size, self.size, *image.shape[2:])

    @cached_property
    def _sources(self) -> NDArray[np.float32]:
        """(2, size, size) camera pixel, x and y, of every virtual pixel."""
        end = self.size - 1.0
        corners = self.image_from_crop(np.array([[0, 0], [end, 0], [end, end], [0, end]]))
        if np.isfinite(corners).all():  # then the lens shows all that lies between them
            camera, side = self.camera, (self.size, self.size)
            turn, target = self.virtual_from_camera, self.matrix
            make = cv2.fisheye.initUndistortRectifyMap if camera.lens == "fisheye" else cv2.initUndistortRectifyMap
            maps = make(camera.matrix, camera.distortion, turn, target, side, cv2.CV_32FC1)
            return np.stack([np.asarray(part, dtype=np.float32) for part in maps])
        steps = np.arange(self.size, dtype=np.float64)
        pixels = self.image_from_crop(np.stack(np.meshgrid(steps, steps), axis=-1))
        return np.moveaxis(np.nan_to_num(pixels, nan=_FAR_OUTSIDE), -1, 0).astype(np.float32)

    def _project(self, points: Array) -> Array:
        depth = points[..., 2:]
        plane = points[..., :2] / np.where(depth > 0, depth, np.nan)
        return plane * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]

    def _check_image(self, image: Pixels) -> None:
        expected = (self.camera.height, self.camera.width)
        channels = image.shape[2] if image.ndim == 3 else 1
        if image.shape[:2] != expected or image.ndim not in (2, 3) or not 1 <= channels <= 4:
            raise ShapeError(
                f"The image must be of shape {expected} with 1 to 4 channels, not {image.shape}.",
                hint="Scale the camera to the image with check_fits.",
            )
        if image.dtype not in (np.uint8, np.uint16, np.float32):
            raise ShapeError(f"The image must be uint8, uint16 or float32, not {image.dtype}.")

    def _source_part(self, image: Pixels) -> tuple[Pixels, Array]:
        """The part of the image to sample from, averaged down where due, and (3, 3) image_from_part."""
        ratio = self._source_pixels_per_pixel()
        if not self.only_square and ratio <= _MINIFY:
            return np.ascontiguousarray(image), np.eye(3)
        shrink = int(ratio + 2 - _MINIFY) if ratio > _MINIFY else 1
        left, top, right, bottom = self._source_box(margin=0 if self.only_square else 2 * shrink)
        shrink = max(1, min(shrink, right - left, bottom - top))
        wide, high = (right - left) // shrink, (bottom - top) // shrink
        part = np.ascontiguousarray(image[top : top + high * shrink, left : left + wide * shrink])
        if shrink > 1:
            part = np.asarray(cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA))
        image_from_part = np.diag([shrink, shrink, 1.0])
        image_from_part[:2, 2] = 0.5 * shrink - 0.5 + np.array([left, top])
        return part, image_from_part

    def _source_pixels_per_pixel(self) -> float:
        """How many source pixels, along a side, fall on a pixel of the crop, where the hand is."""
        area = _polygon_area(self.crop_from_image(self.square_px))
        return float(np.sqrt(_polygon_area(self.square_px) / area)) if area > 0 else 1.0

    def _source_box(self, margin: int) -> tuple[int, int, int, int]:
        """left, top, right, bottom (exclusive) of the source pixels that the crop shows."""
        if self.only_square:
            outline = self.square_px
        else:
            along = np.linspace(-0.5, self.size - 0.5, 9)
            ends = np.full_like(along, -0.5), np.full_like(along, self.size - 0.5)
            sides = [np.stack(pair, -1) for end in ends for pair in ((along, end), (end, along))]
            outline = self.image_from_crop(np.concatenate(sides))
        width, height = self.camera.size
        if np.isnan(outline).any():  # wider than the lens: anything may be in the crop
            return 0, 0, width, height
        low = np.floor(np.min(outline, axis=0) + 0.5).astype(int) - margin
        high = np.ceil(np.max(outline, axis=0) + 0.5).astype(int) + margin
        left, top = np.clip(low, 0, [width, height])
        right, bottom = np.clip(high, 0, [width, height])
        return int(left), int(top), int(right), int(bottom)


def lens_shows(camera: Camera, crop: HandCrop) -> bool:
    """Whether the lens has an answer for all of a crop's square, as far as it lies in the picture."""
    pixels = _around(crop, np.concatenate([np.zeros((1, 2)), _CORNERS, _EDGES]))
    return bool(np.isfinite(camera.rays(np.clip(pixels, 0, np.array(camera.size) - 1))).all())


def _around(crop: HandCrop, offsets: Array) -> Array:
    """Pixels at offsets (N, 2), in units of the half side, in the hand's upright axes."""
    sine, cosine = np.sin(crop.roll_rad), np.cos(crop.roll_rad)
    image_from_hand = np.array([[cosine, -sine], [sine, cosine]])
    return np.asarray(crop.center_px, dtype=np.float64) + crop.half_size_px * offsets @ image_from_hand.T


def _rays(camera: Camera, crop: HandCrop) -> tuple[Array, Array]:
    """The ray of the crop's centre (3,), and of its four corners and four edges (8, 3)."""
    offsets = np.concatenate([np.zeros((1, 2)), _CORNERS, _EDGES])
    rays = camera.rays(_around(crop, offsets))
    if not np.isfinite(rays[0]).all():
        raise UsageError(f"The crop centred at {np.round(crop.center_px, 1)} px is outside of what the lens shows.")
    if not np.isfinite(rays).all():  # a square that reaches beyond the lens goes on as straight as around its centre
        near = camera.rays(_around(crop, offsets / crop.half_size_px))
        rays = rays[0] + crop.half_size_px * (near - rays[0])
        if not np.isfinite(rays).all():
            raise UsageError(f"The crop centred at {np.round(crop.center_px, 1)} px is outside of what the lens shows.")
    return rays[0], rays[1:]


def _square(crop: HandCrop) -> Array:
    numbers = np.array([*np.ravel(crop.center_px), crop.half_size_px, crop.roll_rad], dtype=np.float64)
    if numbers.shape != (4,) or not np.isfinite(numbers).all() or crop.half_size_px <= 0:
        raise UsageError(f"A crop needs a finite centre, a finite roll and a positive size, not {crop}.")
    return _around(crop, _CORNERS)


def _upright(crop: HandCrop) -> Array:
    """(4, 2) corners of the crop's upright square."""
    _square(crop)  # which checks it
    *center, half = crop.upright_square_px
    return np.asarray(center) + half * _CORNERS


def _looking_along(axis: Array, up: Array) -> Array:
    """Rotation target_from_source whose z is `axis` and whose y (down) lies opposite to `up`."""
    z = axis / np.linalg.norm(axis)
    down = -(up - z * (z @ up))
    y = down / np.linalg.norm(down)
    return np.stack([np.cross(y, z), y, z])


def _intrinsics(focal: float, center: float) -> Array:
    return np.array([[focal, 0.0, center], [0.0, focal, center], [0.0, 0.0, 1.0]])


def _polygon_area(corners: Array) -> float:
    x, y = corners[:, 0], corners[:, 1]
    return float(0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))))


def _check_positive(what: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise UsageError(f"The {what} must be positive, not {value}.")


def _checked_size(size: int) -> int:
    if int(size) != size or size < 1:
        raise UsageError(f"The image size must be at least 1 pixel, not {size}.")
    return int(size)
