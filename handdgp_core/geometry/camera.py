"""The camera: a pinhole with OpenCV's lens distortion, or its fisheye. Conventions: docs/conventions.md."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handdgp_core.errors import CameraError
from handdgp_core.geometry import camera_files, distortion, fisheye
from handdgp_core.geometry.pixels import resized_matrix

__all__ = ["Camera", "CameraSource", "LensModel", "check_fits"]

Array = NDArray[np.float64]
CameraSource = Literal["calibrated", "assumed"]
LensModel = Literal["opencv", "fisheye"]

_SAME_ASPECT = 0.01  # two scale factors closer than this count as one aspect ratio
# What no camera exceeds. Focal lengths are parts of the picture's longer side (a view of 179 degrees has 0.009, the
# longest telephoto lenses about 50), the centre is counted from the picture's own (crops move it out of the picture).
_MAX_SIDE_PX = 65_536
_FOCAL_SIDES = 0.0005, 200.0
_CENTRE_SIDES = 20.0
_MAX_COEFFICIENT = 1e5
_RECALIBRATE = "Calibrate the camera again, or omit the file to run with an assumed field of view."


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one camera at one image size. Checked when made; arrays are read-only copies; compares by value.

    Attributes:
        width: image width, pixels.
        height: image height, pixels.
        matrix: (3, 3) K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels. No skew: OpenCV's model has none.
        distortion: (N,) OpenCV's coefficients k1 k2 p1 p2 [k3 [k4 k5 k6 ...]], N one of 0, 4, 5, 8, 12, 14.
            All zeros are kept as none (N = 0). With "fisheye" k1 k2 k3 k4 of Kannala and Brandt, always four.
        name: of the device, or of the file the camera came from.
        source: "assumed" where the focal length is a guess (then depth is a guess, too).
        std: (4 + N,) standard deviations of fx fy cx cy and then of the distortion, where the calibration gave them.
        lens: what the coefficients mean: "opencv" (distortion of a pinhole) or "fisheye" (Kannala-Brandt).
        derived_from: (width, height) that was calibrated, where this camera was scaled from it, else None. A camera
            may crop differently at another resolution, so such a camera deserves a check.

    Raises:
        CameraError: a size, matrix, distortion or std that is no camera.

    Examples:
        >>> Camera.assumed(1280, 720).project(np.array([0.0, 0.0, 0.5]))
        array([639.5, 359.5])
    """

    width: int
    height: int
    matrix: Array
    distortion: Array = field(default_factory=lambda: np.zeros(0))
    name: str = ""
    source: CameraSource = "calibrated"
    std: Array | None = None
    derived_from: tuple[int, int] | None = None
    lens: LensModel = "opencv"

    def __post_init__(self) -> None:
        put = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731 - the dataclass is frozen
        put("width", _checked_length("width", self.width))
        put("height", _checked_length("height", self.height))
        put("matrix", _checked_matrix(self.matrix))
        _check_sizes(self.matrix, self.size)
        if self.lens not in ("opencv", "fisheye"):
            raise CameraError(f'A lens is "opencv" or "fisheye", not {self.lens!r}.')
        coefficients = _checked_distortion(self.distortion, self.lens)
        kept = coefficients.any() or self.lens == "fisheye"
        put("distortion", coefficients if kept else _frozen(np.zeros(0)))
        put("std", _checked_std(self.std, coefficients.size, keep=4 + self.distortion.size))
        if self.source not in ("calibrated", "assumed"):
            raise CameraError(f'A camera is "calibrated" or "assumed", not {self.source!r}.')

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Camera:
        """Read a camera from YAML: ROS camera_info (file or message), OpenCV or Kalibr, told by content.

        Raises:
            CameraError: the file is missing, unreadable, of another lens model, or holds no valid camera.
        """
        fields = camera_files.read(path)
        try:
            return cls(**fields)
        except CameraError as error:
            raise CameraError(
                f"Could not use the camera in {os.fspath(path)}. {error.problem}", hint=error.hint
            ) from None

    def save(self, path: str | os.PathLike[str], format: camera_files.Format = "ros") -> None:
        """Write YAML that ROS, OpenCV's FileStorage ("opencv") or Kalibr reads; all come back whole with `load`.

        Raises:
            UsageError: another format.
            CameraError: a lens that the format cannot hold ("kalibr": more than k1 k2 p1 p2).
            OutputError: the file cannot be written.
        """
        camera_files.write(self, path, format)

    @classmethod
    def assumed(cls, width: int, height: int, horizontal_fov_deg: float = 60.0, name: str = "") -> Camera:
        """A camera nobody calibrated: square pixels, centred, no distortion, this angle along the longer side.

        Raises:
            CameraError: a size below 1 or a field of view outside (0, 180) degrees.
        """
        width, height = _checked_length("width", width), _checked_length("height", height)
        if not 0.0 < horizontal_fov_deg < 180.0:
            raise CameraError(f"The field of view must be between 0 and 180 degrees, not {horizontal_fov_deg}.")
        focal = 0.5 * max(width, height) / np.tan(0.5 * np.deg2rad(horizontal_fov_deg))
        matrix = np.array([[focal, 0, 0.5 * (width - 1)], [0, focal, 0.5 * (height - 1)], [0, 0, 1]])
        return cls(width, height, matrix, name=name, source="assumed")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def focal_px(self) -> tuple[float, float]:
        """(fx, fy) in pixels."""
        return float(self.matrix[0, 0]), float(self.matrix[1, 1])

    @property
    def pinhole(self) -> Array:
        """(4,) fx, fy, cx, cy in pixels."""
        return np.asarray(self.matrix[[0, 1, 0, 1], [0, 1, 2, 2]])

    @property
    def has_distortion(self) -> bool:
        """Whether straight lines bend."""
        return self.distortion.size > 0

    @cached_property
    def largest_radius(self) -> float:
        """How far from the axis, on the plane z = 1, the distortion is one to one; infinity for most lenses."""
        return _functions(self.lens).largest_radius(self.distortion)

    @cached_property
    def horizontal_fov_rad(self) -> float:
        """Angle between the left and the right edge of the image in the row of the principal point, lens included.

        Where the distortion model does not hold out to the edges, the angle of the pinhole part.
        """
        row = self.matrix[1, 2]
        edges = np.array([[-0.5, row], [self.width - 0.5, row]])
        rays = self.rays(edges)
        if not np.isfinite(rays).all():
            rays = np.concatenate([self._to_plane(edges), np.ones((2, 1))], axis=-1)
        angles = np.arctan(rays[:, 0])
        return float(angles[1] - angles[0])

    def project(self, points_m: ArrayLike) -> Array:
        """Pixels where points appear, lens included.

        Args:
            points_m: (..., 3) camera frame. Any unit: only ratios count.

        Returns:
            (..., 2) pixels. NaN for points that are not in front of the camera (z <= 0), or that lie beyond the
            range in which the distortion model is one to one. May lie outside the image.
        """
        points = np.asarray(points_m, dtype=np.float64)
        depth = points[..., 2:]
        plane = points[..., :2] / np.where(depth > 0, depth, np.nan)
        if self.has_distortion:
            radius = np.linalg.norm(plane, axis=-1, keepdims=True)
            shown = np.where(radius <= self.largest_radius, plane, np.nan)
            plane = _functions(self.lens).distort(shown, self.distortion)
        return plane * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]

    def rays(self, pixels: ArrayLike) -> Array:
        """Directions seen at pixels, lens removed: the inverse of `project`.

        Args:
            pixels: (..., 2) pixels, in the image or beyond it.

        Returns:
            (..., 3) K^-1 (u, v, 1) without distortion: camera frame, z = 1. NaN where the lens shows nothing there.
        """
        bent = self._to_plane(np.asarray(pixels, dtype=np.float64))
        plane = _functions(self.lens).undistort(bent, self.distortion, self.largest_radius)
        return np.concatenate([plane, np.where(np.isnan(plane[..., :1]), np.nan, 1.0)], axis=-1)

    def scaled_to(self, width: int, height: int) -> Camera:
        """The same view at another resolution, by the pixel-centre rule: c' = s (c + 0.5) - 0.5.

        Returns:
            This camera where the size is its own; else a new one that remembers the calibrated size in `derived_from`.

        Raises:
            CameraError: the aspect ratio differs by more than 1 %: then the camera crops, and nobody knows where.
        """
        width, height = _checked_length("width", width), _checked_length("height", height)
        if (width, height) == self.size:
            return self
        by_x, by_y = width / self.width, height / self.height
        if abs(by_x / by_y - 1.0) > _SAME_ASPECT:
            name = f' "{self.name}"' if self.name else ""
            turned = ", rotated by 90 degrees" if (height, width) == self.size else ""
            raise CameraError(
                f"The calibration{name} for {self.width}x{self.height} does not fit the aspect ratio of images of "
                f"{width}x{height}{turned}.",
                hint=f"Set the camera to {self.width}x{self.height}, or calibrate it at {width}x{height}.",
            )
        matrix = resized_matrix(self.matrix, (by_x, by_y))
        std = None if self.std is None else self.std.copy()
        if std is not None:
            std[:4] *= (by_x, by_y, by_x, by_y)
        derived_from = self.derived_from or self.size
        return replace(self, width=width, height=height, matrix=matrix, std=std, derived_from=derived_from)

    def mirrored(self) -> Camera:
        """The camera of the image flipped left to right: what it projects, this one projects at u' = width - 1 - u."""
        matrix = self.matrix.copy()
        matrix[0, 2] = self.width - 1 - matrix[0, 2]
        return replace(self, matrix=matrix, distortion=_functions(self.lens).mirrored(self.distortion))

    def _to_plane(self, pixels: Array) -> Array:
        return (pixels - self.matrix[:2, 2]) / self.matrix[[0, 1], [0, 1]]

    def _key(self) -> tuple[object, ...]:
        std = None if self.std is None else self.std.tobytes()
        arrays = (self.matrix.tobytes(), self.distortion.tobytes(), std)
        return (*self.size, *arrays, self.name, self.source, self.derived_from, self.lens)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Camera) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


def check_fits(camera: Camera, width: int, height: int) -> Camera:
    """The camera for images of this size: itself, or scaled where only the resolution differs.

    Raises:
        CameraError: the images have another aspect ratio than the calibration.
    """
    return camera.scaled_to(width, height)


def _functions(lens: LensModel) -> ModuleType:
    return fisheye if lens == "fisheye" else distortion


def _frozen(array: Array) -> Array:
    array = np.array(array, dtype=np.float64)
    array.flags.writeable = False
    return array


def _numbers(what: str, value: ArrayLike) -> Array:
    try:
        return _frozen(cast(Array, value))
    except (TypeError, ValueError):
        raise CameraError(f"The camera's {what} must be numbers, not {repr(value)[:80]}.", hint=_RECALIBRATE) from None


def _checked_length(what: str, value: float) -> int:
    try:
        length = int(value)
    except (TypeError, ValueError, OverflowError):
        length = 0
    if length < 1 or length != value:
        raise CameraError(f"The image {what} must be a positive whole number, not {value!r}.", hint=_RECALIBRATE)
    if length > _MAX_SIDE_PX:
        raise CameraError(f"No camera has an image {what} of {value:g} pixels.", hint=_RECALIBRATE)
    return length


def _check_sizes(matrix: Array, size: tuple[int, int]) -> None:
    """Refuse what is off by powers of ten: such a file is damaged, or in other units."""
    side, (low, high) = max(size), _FOCAL_SIDES
    focal = matrix[[0, 1], [0, 1]]
    if focal.min() < low * side or focal.max() > high * side:
        actual = f"fx = {focal[0]:g} px, fy = {focal[1]:g} px"
        raise CameraError(
            f"No camera with images of {size[0]}x{size[1]} has focal lengths of {actual}.",
            hint="Give them in pixels of that image size. " + _RECALIBRATE,
        )
    if np.abs(matrix[:2, 2] - 0.5 * np.array(size)).max() > _CENTRE_SIDES * side:
        actual = f"({matrix[0, 2]:g}, {matrix[1, 2]:g}) px"
        raise CameraError(
            f"No camera with images of {size[0]}x{size[1]} has its principal point at {actual}.", hint=_RECALIBRATE
        )


def _checked_matrix(value: ArrayLike) -> Array:
    matrix = _numbers("matrix", value)
    if matrix.shape != (3, 3):
        raise CameraError(f"The camera matrix must be of shape (3, 3), not {matrix.shape}.", hint=_RECALIBRATE)
    if not np.isfinite(matrix).all():
        raise CameraError(f"The camera matrix must be finite, not {matrix.tolist()}.", hint=_RECALIBRATE)
    if min(matrix[0, 0], matrix[1, 1]) <= 0:
        actual = f"fx = {matrix[0, 0]:g}, fy = {matrix[1, 1]:g}"
        raise CameraError(f"The camera needs positive focal lengths, not {actual}.", hint=_RECALIBRATE)
    if abs(matrix[0, 1]) > 1e-6 * matrix[0, 0]:
        hint = "Calibrate with a model without skew (OpenCV's has none)."
        raise CameraError(f"The camera matrix has a skew of {matrix[0, 1]:g} px, which is not supported.", hint=hint)
    if np.abs(matrix[[1, 2, 2, 2], [0, 0, 1, 2]] - [0, 0, 0, 1]).max() > 1e-9:
        expected = "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        raise CameraError(
            f"The camera matrix must be {expected}, not {matrix.tolist()}.",
            hint="Give it row by row; perhaps it is transposed.",
        )
    clean = np.diag([matrix[0, 0], matrix[1, 1], 1.0])
    clean[:2, 2] = matrix[:2, 2]
    return _frozen(clean)


def _checked_distortion(value: ArrayLike, lens: LensModel) -> Array:
    coefficients = _numbers("distortion", value)
    coefficients = _frozen(coefficients.reshape(-1))
    if lens == "fisheye" and coefficients.size != fisheye.COUNT:
        raise CameraError(
            f"A fisheye lens has {fisheye.COUNT} coefficients (k1 k2 k3 k4), not {coefficients.size}.",
            hint=_RECALIBRATE,
        )
    if coefficients.size not in distortion.COUNTS:
        counts = ", ".join(map(str, distortion.COUNTS))
        raise CameraError(
            f"A lens has {counts} distortion coefficients, not {coefficients.size}.",
            hint="Give them in OpenCV's order k1 k2 p1 p2 k3 ...",
        )
    if not np.isfinite(coefficients).all():
        raise CameraError(
            f"The distortion coefficients must be finite, not {coefficients.tolist()}.", hint=_RECALIBRATE
        )
    if np.abs(coefficients).max(initial=0.0) > _MAX_COEFFICIENT:
        raise CameraError(
            f"No lens has distortion coefficients such as {np.abs(coefficients).max():g}.", hint=_RECALIBRATE
        )
    return coefficients


def _checked_std(value: ArrayLike | None, distortion_count: int, keep: int) -> Array | None:
    """The first `keep` of them: the rest belongs to a distortion that is dropped because it is zero."""
    if value is None:
        return None
    std = _numbers("standard deviations", value).reshape(-1)
    if std.size not in (keep, 4 + distortion_count) or not (np.isfinite(std) & (std >= 0)).all():
        expected = f"{keep} standard deviations (fx fy cx cy, then the distortion's), none negative"
        raise CameraError(f"A camera has {expected}, not {std.tolist()}.", hint="Omit them, or calibrate again.")
    return _frozen(std[:keep])
