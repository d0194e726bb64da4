"""What turning, mirroring and stretching an image does to its pixels and to its camera.

A calibration is in the pixels of the sensor. A picture is often shown in another way than the sensor stored it: turned
(EXIF, a video's display matrix) or stretched (pixels that are not square). The camera then has to follow the picture.

Orientations are EXIF's: 1 as stored, 2 mirrored left to right, 3 turned by 180 degrees, 4 mirrored top to bottom,
5 transposed, 6 turned by 90 degrees clockwise, 7 transposed and turned by 180 degrees, 8 turned by 90 degrees
anticlockwise. From 5 on, width and height change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_matrix

__all__ = [
    "WIDEST_PIXEL",
    "ImageTransform",
    "camera_of_image",
    "orientation_of_matrix",
    "oriented",
    "oriented_camera",
    "stored_from_shown",
    "stretched_camera",
    "transform_of",
]

WIDEST_PIXEL = 4.0  # times as wide as high, or as high as wide: more is an error of the file
_TRANSPOSES = (5, 6, 7, 8)
_FLIPS_X = (2, 3, 6, 7)  # after transposing
_FLIPS_Y = (3, 4, 7, 8)
_UNDOES = {6: 8, 8: 6}  # every other orientation undoes itself
_SQUARE = 0.002  # pixels this near to square are square: containers round their aspect ratios
_NEARLY_EQUAL = 0.05  # of fx and fy on a real sensor, once pixels are square
# In OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty: what changes sign with x, with y, and what trades places.
_WITH_X, _WITH_Y = [3, 8, 9, 13], [2, 10, 11, 12]
_SWAPPED = [0, 1, 3, 2, 4, 5, 6, 7, 10, 11, 8, 9, 13, 12]


@dataclass(frozen=True)
class ImageTransform:
    """How a shown picture came from the stored one: stretched to square pixels first, then turned.

    Attributes:
        stored_size: (width, height) of the picture as the sensor, or the file, has it.
        pixel_aspect: width of a stored pixel over its height.
        orientation: EXIF's, 1 to 8.
        is_known: False where nobody can tell, as in recordings of older versions: no calibration fits such a picture.
    """

    stored_size: tuple[int, int]
    pixel_aspect: float = 1.0
    orientation: int = 1
    is_known: bool = True

    @property
    def square_size(self) -> tuple[int, int]:
        """(width, height) once pixels are square, before turning. Never smaller than what is stored."""
        width, height = self.stored_size
        if self.pixel_aspect > 1.0:
            return round(width * self.pixel_aspect), height
        return width, round(height / self.pixel_aspect)

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) of the picture as it is shown."""
        width, height = self.square_size
        return (height, width) if self.orientation in _TRANSPOSES else (width, height)

    @property
    def is_mirrored(self) -> bool:
        """Whether the stored picture shows the world in a mirror."""
        return self.orientation in (2, 4, 5, 7)

    def show(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The stored picture (height, width[, 3]) upright and with square pixels."""
        square = stored
        if self.square_size != self.stored_size:
            square = np.asarray(cv2.resize(stored, self.square_size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        return oriented(square, self.orientation)


def transform_of(stored: NDArray[Any], pixel_aspect: float = 1.0, orientation: int = 1) -> ImageTransform | None:
    """The transform of a stored picture (height, width[, 3]); None where it is shown as it is stored."""
    aspect = 1.0 if abs(pixel_aspect - 1.0) < _SQUARE else pixel_aspect
    height, width = stored.shape[:2]
    return None if aspect == 1.0 and orientation == 1 else ImageTransform((width, height), aspect, orientation)


def oriented(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A stored image (height, width[, 3]) as an orientation shows it; the image itself for orientation 1."""
    if orientation == 1:
        return image
    turned = image.swapaxes(0, 1) if orientation in _TRANSPOSES else image
    step_x, step_y = (-1 if orientation in flips else 1 for flips in (_FLIPS_X, _FLIPS_Y))
    return np.ascontiguousarray(turned[::step_y, ::step_x])


def stored_from_shown(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The inverse of `oriented`."""
    return oriented(image, _UNDOES.get(orientation, orientation))


def orientation_of_matrix(matrix: Sequence[float]) -> int | None:
    """EXIF's orientation of a display matrix, as MP4 and FFmpeg write it; None where it is none of the eight.

    Args:
        matrix: (9,) a b u c d v x y w: the stored point (p, q) is shown at (a p + c q + x, b p + d q + y). Any scale.
    """
    a, b, u, c, d, v = matrix[:6]
    long, short = max(map(abs, (a, b, c, d))), 1e-3
    if long == 0 or u or v:
        return None
    p, q, r, s = (0 if abs(value) < short * long else int(np.sign(value)) for value in (a, b, c, d))
    return _BY_SIGNS.get((p, q, r, s))


_BY_SIGNS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip


# The camera follows the picture -------------------------------------------------------------------------------------


def camera_of_image(calibration: Camera, transform: ImageTransform | None, width: int, height: int) -> Camera:
    """The camera of a shown picture of this size.

    A calibration is in the sensor's pixels: it is scaled to the stored picture, then stretched and turned with it. One
    whose shape fits only the picture with square pixels, or only the picture as shown, was made from such pictures.

    Raises:
        CameraError: the calibration fits neither; its pixels are not those that the source states; a lens with a
            sensor tilted about both axes, which cannot be turned; nobody knows how the picture was turned.
    """
    if transform is None:
        return calibration.scaled_to(width, height)
    if not transform.is_known:
        raise CameraError(
            "The calibration cannot be used for this recording: an older version of the program made it from a file, "
            "and it does not tell how its pictures were turned or stretched.",
            hint="Give the calibration with the file that was recorded, or record that file again.",
        )
    try:
        sensor = calibration.scaled_to(*transform.stored_size)
    except CameraError as error:
        return _camera_of_shown(calibration, transform, error)
    square = stretched_camera(sensor, *transform.square_size)
    ratio = square.focal_px[0] / square.focal_px[1]
    if transform.square_size != transform.stored_size and abs(ratio - 1.0) > _NEARLY_EQUAL:
        actual, stated = sensor.focal_px[1] / sensor.focal_px[0], transform.pixel_aspect
        raise CameraError(
            f"The calibration has pixels {actual:.3g} times as wide as high, but the video states {stated:.3g}.",
            hint="Calibrate with a video of this camera, recorded in the same way.",
        )
    return oriented_camera(square, transform.orientation)


def _camera_of_shown(calibration: Camera, transform: ImageTransform, error: CameraError) -> Camera:
    try:
        return oriented_camera(calibration.scaled_to(*transform.square_size), transform.orientation)
    except CameraError:
        pass
    try:
        return calibration.scaled_to(*transform.shown_size)
    except CameraError:
        raise error from None


def oriented_camera(camera: Camera, orientation: int) -> Camera:
    """The camera of an image that `oriented` has turned.

    Raises:
        CameraError: a sensor tilted about both axes, transposed: OpenCV's coefficients cannot tell that lens.
    """
    if orientation in _TRANSPOSES:
        camera = _transposed(camera)
    matrix, signs = camera.matrix.copy(), np.ones(len(_SWAPPED))
    if orientation in _FLIPS_X:
        matrix[0, 2] = camera.width - 1 - matrix[0, 2]
        signs[_WITH_X] *= -1
    if orientation in _FLIPS_Y:
        matrix[1, 2] = camera.height - 1 - matrix[1, 2]
        signs[_WITH_Y] *= -1
    if _is_symmetric(camera):
        return replace(camera, matrix=matrix)
    return replace(camera, matrix=matrix, distortion=camera.distortion * signs[: camera.distortion.size])


def stretched_camera(camera: Camera, width: int, height: int) -> Camera:
    """The camera of an image resized to (width, height), whatever becomes of its aspect ratio."""
    if (width, height) == camera.size:
        return camera
    by = np.array([width / camera.width, height / camera.height])
    std = None if camera.std is None else np.concatenate([camera.std[:4] * np.tile(by, 2), camera.std[4:]])
    return replace(camera, width=width, height=height, matrix=resized_matrix(camera.matrix, by), std=std)


def _transposed(camera: Camera) -> Camera:
    count = camera.distortion.size
    order = list(range(count)) if _is_symmetric(camera) else _SWAPPED[:count]
    coefficients = camera.distortion[order]
    if count == len(_SWAPPED):
        if coefficients[12:].all():
            raise CameraError(
                "The calibration has a sensor tilted about both axes, which cannot be turned by 90 degrees.",
                hint="Calibrate without the tilted model (CALIB_TILTED_MODEL).",
            )
        coefficients[12:] *= -1  # a mirror turns rotations round
    std = None if camera.std is None else np.concatenate([camera.std[[1, 0, 3, 2]], camera.std[4:][order]])
    return replace(
        camera,
        width=camera.height,
        height=camera.width,
        matrix=camera.matrix[[1, 0, 2]][:, [1, 0, 2]],
        distortion=coefficients,
        std=std,
    )


def _is_symmetric(camera: Camera) -> bool:
    """Whether the coefficients are of a lens that looks the same from every side: Kannala and Brandt's."""
    return camera.lens == "fisheye"
