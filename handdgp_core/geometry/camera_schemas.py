"""What may stand in a camera file: one strict schema a format, and what its values mean for `Camera`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from handdgp_core.geometry.camera_names import known_values
from handdgp_core.geometry.camera_values import (
    Coefficients,
    Number,
    Numbers,
    Pair,
    Refusal,
    Switch,
    Text,
    Whole,
    lens_kind,
    lens_of,
)

__all__ = ["CameraMessage", "EurocSensor", "FileSchema", "KalibrCamera", "MrcalModel"]

_SCALARS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_ONE_NAME: dict[str, tuple[str, ...]] = {name: (name,) for name in ("fx", "fy", "cx", "cy", *_SCALARS)}


class FileSchema(BaseModel):
    """What all formats share: our own keys, and reading by known names alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    # Our field: the names that it goes by in files, lower case, without underscores, dashes and blanks.
    names: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    skipped: ClassVar[tuple[str, ...]] = ()

    name: Text | None = None
    source: Text = "calibrated"
    std: Numbers | None = None
    derived_from: Pair | None = None

    @classmethod
    def of(cls, content: Mapping[Any, Any]) -> FileSchema:
        """From the content of a file; raises Refusal."""
        try:
            return cls.model_validate(known_values(content, cls.names, cls.skipped))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the camera"
            raise Refusal(f"{where} is not right ({first['msg'].lower()})") from None

    def camera(self, stem: str) -> dict[str, Any]:
        """Arguments for `Camera`; `stem` is its name where the file has none."""
        width, height = self.size_px()
        fx, fy, cx, cy = self.pinhole()
        lens, coefficients = self.lens()
        fields: dict[str, Any] = {
            "width": width,
            "height": height,
            "matrix": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
            "distortion": coefficients,
            "name": stem if self.name is None else self.name,
            "source": self.source,
            "lens": lens,
        }
        if self.std is not None:
            fields["std"] = self.std
        if self.derived_from is not None:
            fields["derived_from"] = self.derived_from
        return fields

    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        raise NotImplementedError

    def pinhole(self) -> tuple[float, ...]:
        """fx, fy, cx, cy."""
        raise NotImplementedError

    def lens(self) -> tuple[Literal["opencv", "fisheye"], list[float]]:
        """The model and its coefficients."""
        raise NotImplementedError


_OURS = {
    "name": ("cameraname",),
    "source": ("calibrationsource",),
    "std": ("calibrationstd",),
    "derived_from": ("derivedfrom",),
}


class _Roi(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    x_offset: Whole = 0
    y_offset: Whole = 0
    height: Whole = 0
    width: Whole = 0
    do_rectify: bool = False


class CameraMessage(FileSchema):
    """ROS camera_info as a file or a message, and OpenCV's FileStorage: flat names, matrices row by row."""

    names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **_OURS,
        "width": ("imagewidth", "width"),
        "height": ("imageheight", "height"),
        "size": ("imagesize",),
        "matrix": ("cameramatrix", "k", "intrinsicmatrix", "mtx"),
        "distortion": (
            "distortioncoefficients", "distortioncoefficient", "distortioncoeffs", "distortioncoeff", "distcoeffs",
            "distcoeff", "distcoefs", "distcoef", "distortion", "d", "dist",
        ),
        "model": ("distortionmodel",),
        "camera_model": ("cameramodel",),
        "fisheye": ("fisheyemodel", "fisheye", "isfisheye"),
        "binning_x": ("binningx",),
        "binning_y": ("binningy",),
        "roi": ("roi",),
        **_ONE_NAME,
    }  # fmt: skip
    skipped: ClassVar[tuple[str, ...]] = ("r", "p", "rectificationmatrix", "projectionmatrix")

    width: Whole | None = None
    height: Whole | None = None
    size: Pair | None = None
    matrix: Numbers | None = None
    fx: Number | None = None
    fy: Number | None = None
    cx: Number | None = None
    cy: Number | None = None
    distortion: Coefficients | None = None
    scalars: dict[str, Number] = Field(default_factory=dict)
    model: Text = ""
    camera_model: Text = ""
    fisheye: Switch = False
    binning_x: Whole = 0
    binning_y: Whole = 0
    roi: _Roi = _Roi()

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, found: dict[str, Any]) -> dict[str, Any]:
        lens = found.get("distortion")
        if isinstance(lens, Mapping) and lens and set(map(str, lens)) <= set(_SCALARS):
            found = {key: value for key, value in found.items() if key != "distortion"} | dict(lens)
        scalars = {key: found[key] for key in _SCALARS if key in found}
        if any(isinstance(value, Mapping | list) for value in scalars.values()):
            raise Refusal(f"it holds more than one camera ({', '.join(scalars)})", "Keep only the camera that you use.")
        if scalars and found.get("distortion") is not None:
            raise Refusal(f"it gives the distortion twice, as a list and as {', '.join(scalars)}")
        return {key: value for key, value in found.items() if key not in _SCALARS} | {"scalars": scalars}

    def size_px(self) -> tuple[int, int]:
        """Width and height of the images: those of the region that is read out, after binning."""
        return self._region()[0]

    def pinhole(self) -> tuple[float, ...]:
        """Of the images: K is that of the whole sensor without binning."""
        fx, fy, cx, cy = self._matrix()
        (by_x, by_y), (left, top) = self._region()[1:]
        return fx / by_x, fy / by_y, (cx - left + 0.5) / by_x - 0.5, (cy - top + 0.5) / by_y - 0.5

    def lens(self) -> tuple[Literal["opencv", "fisheye"], list[float]]:
        """By the model, or where only a switch or the camera's model names it, by that."""
        kinds = {lens_kind(self.model), lens_kind(self.camera_model), "fisheye" if self.fisheye else ""} - {""}
        if len(kinds) > 1:
            raise Refusal("it names two lens models, one fisheye and one not")
        model = self.model or self.camera_model
        if kinds == {"fisheye"}:
            model = model if lens_kind(model) == "fisheye" else "fisheye"
        elif model.strip().lower() == "pinhole":
            model = ""
        return lens_of(model, self._coefficients(fisheye=kinds == {"fisheye"}))

    def _coefficients(self, fisheye: bool) -> list[float]:
        if not self.scalars:
            return self.distortion or []
        if fisheye:
            order: tuple[str, ...] = ("k1", "k2", "k3", "k4")
        else:
            order = _SCALARS if "k4" in self.scalars else _SCALARS[:5]
        given = ", ".join(self.scalars)
        needed = order[:4] if fisheye else order if "k4" in self.scalars else ("k1",)
        if set(self.scalars) - set(order) or set(needed) - set(self.scalars):
            raise Refusal(f"its distortion is given as {given} alone, which is no whole lens")
        return [self.scalars.get(key, 0.0) for key in order]

    def _matrix(self) -> tuple[float, ...]:
        single = (self.fx, self.fy, self.cx, self.cy)
        if self.matrix is None:
            if any(value is None for value in single):
                raise Refusal("it has no camera matrix (camera_matrix, or K)")
            return tuple(value for value in single if value is not None)
        if len(self.matrix) != 9:
            raise Refusal(f"the camera matrix must have 3 x 3 numbers, not {len(self.matrix)}")
        fx, skew, cx, a, fy, cy, b, c, one = self.matrix
        pinhole = (fx, fy, cx, cy)
        if any(value not in (None, same) for value, same in zip(single, pinhole, strict=True)):
            raise Refusal("its camera matrix and its fx, fy, cx, cy differ")
        if abs(skew) > 1e-6 * abs(fx):
            raise Refusal(
                f"its camera matrix has a skew of {skew:g} px, which is not supported",
                "Calibrate with a model without skew (OpenCV's has none).",
            )
        if max(map(abs, (a, b, c, one - 1.0))) > 1e-9:
            raise Refusal(
                "its camera matrix is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]",
                "Give it row by row; perhaps it is transposed.",
            )
        return pinhole

    def _region(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Size of the images, binning, and where the region begins."""
        if self.size is not None and (self.width, self.height) not in ((None, None), self.size):
            raise Refusal("it gives two image sizes")
        width, height = self.size or (self.width, self.height)
        if width is None or height is None:
            raise Refusal(
                "it has no image size (image_width, image_height)",
                "Add image_width and image_height of the images that it was calibrated with.",
            )
        bin_x, bin_y, roi = max(1, self.binning_x), max(1, self.binning_y), self.roi
        wide, high = roi.width or width, roi.height or height
        if width and height and (roi.x_offset + wide > width or roi.y_offset + high > height):
            raise Refusal("its region of interest does not lie in its image")
        return (wide // bin_x, high // bin_y), (bin_x, bin_y), (roi.x_offset, roi.y_offset)


class KalibrCamera(FileSchema):
    """One camera of Kalibr's camchain."""

    names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **_OURS,
        "camera_model": ("cameramodel",),
        "intrinsics": ("intrinsics",),
        "model": ("distortionmodel",),
        "distortion": ("distortioncoeffs",),
        "resolution": ("resolution",),
    }

    camera_model: Text = "pinhole"
    intrinsics: Numbers
    model: Text
    distortion: Coefficients
    resolution: Pair

    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.resolution

    def pinhole(self) -> tuple[float, ...]:
        """fu fv pu pv."""
        if self.camera_model.strip().lower() != "pinhole":
            raise Refusal(f'its camera model is "{self.camera_model}", not pinhole')
        if len(self.intrinsics) != 4:
            raise Refusal(f"it has {len(self.intrinsics)} instead of four intrinsics (fu fv pu pv)")
        return tuple(self.intrinsics)

    def lens(self) -> tuple[Literal["opencv", "fisheye"], list[float]]:
        """The model and its coefficients."""
        return lens_of(self.model, self.distortion)


class EurocSensor(KalibrCamera):
    """sensor.yaml of a camera of the EuRoC data set."""

    names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **KalibrCamera.names,
        "sensor_type": ("sensortype",),
        "distortion": ("distortioncoefficients", "distortioncoeffs"),
    }

    sensor_type: Literal["camera"] = "camera"


_MRCAL_MODELS = {"LENSMODEL_PINHOLE": "none"} | dict.fromkeys(("LENSMODEL_OPENCV4", "LENSMODEL_OPENCV5"), "plumb_bob")
_MRCAL_MODELS |= dict.fromkeys(("LENSMODEL_OPENCV8", "LENSMODEL_OPENCV12"), "rational_polynomial")


class MrcalModel(FileSchema):
    """mrcal's .cameramodel."""

    names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lensmodel": ("lensmodel",),
        "intrinsics": ("intrinsics",),
        "imagersize": ("imagersize",),
    }
    skipped: ClassVar[tuple[str, ...]] = (
        "extrinsics", "rtcamref", "validintrinsicsregion", "icamintrinsics", "icamintrinsicsoptimizationinputs",
        "optimizationinputs",
    )  # fmt: skip

    lensmodel: Text
    intrinsics: Numbers
    imagersize: Pair

    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.imagersize

    def pinhole(self) -> tuple[float, ...]:
        """The first four intrinsics."""
        return tuple(self.intrinsics[:4])

    def lens(self) -> tuple[Literal["opencv", "fisheye"], list[float]]:
        """OpenCV's models alone."""
        if self.lensmodel not in _MRCAL_MODELS:
            raise Refusal(
                f'its lens model "{self.lensmodel:.60}" is not known here (LENSMODEL_OPENCV4, 5 and 8 are)',
                "Convert it: mrcal-convert-lensmodel LENSMODEL_OPENCV8.",
            )
        expected = 4 + int("0" + re.sub(r"\D", "", self.lensmodel))
        if len(self.intrinsics) != expected:
            raise Refusal(f"{self.lensmodel} has {expected} intrinsics, not {len(self.intrinsics)}")
        return lens_of(_MRCAL_MODELS[self.lensmodel], self.intrinsics[4:])
