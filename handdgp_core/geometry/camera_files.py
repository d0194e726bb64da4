"""Camera files: ROS camera_info YAML, OpenCV FileStorage YAML and Kalibr's camchain YAML, in and out.

Reading goes through one tolerant table of names, so it does not matter which of them wrote a file, in which
version, or whether it is a camera_info message dumped by ROS 1 or 2. Writing adds the keys `calibration_source`,
`calibration_std` and `derived_from`, which other readers skip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from handdgp_core.errors import CameraError, UsageError
from handdgp_core.files import whole_file

if TYPE_CHECKING:
    from handdgp_core.geometry.camera import Camera

__all__ = ["Format", "as_text", "read", "write"]

Format = Literal["ros", "opencv", "kalibr"]

_MAX_BYTES = 1_000_000  # a camera file has about 1 kB
_HINT = "Give a ROS camera_info, OpenCV or Kalibr YAML file, such as `calibrate` writes."
# Our field: the names that it goes by in files, lower case and without underscores.
_NAMES = {
    "width": ("imagewidth", "width"),
    "height": ("imageheight", "height"),
    "size": ("imagesize",),
    "matrix": ("cameramatrix", "k", "intrinsicmatrix", "mtx"),
    "distortion": ("distortioncoefficients", "distcoeffs", "distortioncoeffs", "d", "dist"),
    "name": ("cameraname",),
    "model": ("distortionmodel",),
    "fisheye": ("fisheyemodel",),
    "source": ("calibrationsource",),
    "std": ("calibrationstd",),
    "derived_from": ("derivedfrom",),
}
# Models that OpenCV's coefficients cover; "" and "none" for a lens without distortion.
_MODELS = ("plumb_bob", "rational_polynomial", "radtan", "none", "")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Arguments for `Camera` from a YAML file of either format.

    Raises:
        CameraError: missing or unreadable file, no YAML, no camera in it, or a lens model other than OpenCV's.
    """
    path = Path(path)
    found = _by_our_names(_plain_kalibr(_parsed(_text(path), path), path))
    _check_model(found, path)
    width, height = _size(found, path)
    if "matrix" not in found:
        raise _unreadable(path, "it has no camera matrix (camera_matrix, or K)")
    fields = {
        "width": width,
        "height": height,
        "matrix": _grid(_floats(found["matrix"], "camera matrix", path)),
        "distortion": _floats(found.get("distortion") or [], "distortion coefficients", path),
        "name": str(found.get("name", path.stem)),
        "source": str(found.get("source", "calibrated")),
    }
    if "std" in found:
        fields["std"] = _floats(found["std"], "standard deviations", path)
    if "derived_from" in found:
        fields["derived_from"] = _pair(found["derived_from"], "derived_from", path)
    return fields


def write(camera: Camera, path: str | os.PathLike[str], format: Format) -> None:
    """Write a camera file under a temporary name, then rename it.

    Raises:
        UsageError: a format other than "ros", "opencv" and "kalibr".
        CameraError: a lens that Kalibr's model (k1 k2 p1 p2) cannot hold.
        OutputError: the place cannot be written.
    """
    _write_whole(Path(path), as_text(camera, format))


def as_text(camera: Camera, format: Format = "ros") -> str:
    """What `write` puts into a file. Raises UsageError and CameraError as that does."""
    texts = {"ros": _ros_text, "opencv": _opencv_text, "kalibr": _kalibr_text}
    if format not in texts:
        raise UsageError(f'The format of a camera file is "ros", "opencv" or "kalibr", not {format!r}.')
    return texts[format](camera)


# Reading ------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML that also knows OpenCV's matrix tags, as plain mappings."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


for _tag in ("opencv-matrix", "opencv-nd-matrix"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _mapping)


def _unreadable(path: Path, reason: str, hint: str = _HINT) -> CameraError:
    return CameraError(f"Could not read the camera file {path}: {reason}.", hint=hint)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _unreadable(path, "it is too big for a camera file")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not a text file") from None
    except FileNotFoundError:
        raise _unreadable(path, "the file does not exist", "Check the path.") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or "unreadable", "Check the path.") from None


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    # OpenCV's header is not YAML ("%YAML:1.0"), and no header is needed.
    body = re.sub(r"\A\s*%YAML[^\n]*\n", "", text)
    try:
        content = yaml.load(body, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise _unreadable(path, f"it is not YAML ({reason})") from None
    if not isinstance(content, dict):
        raise _unreadable(path, "it holds no names and values")
    return content


def _by_our_names(content: Mapping[str, Any]) -> dict[str, Any]:
    plain = {re.sub(r"[^a-z]", "", str(key).lower()): value for key, value in content.items()}
    found = {}
    for field, names in _NAMES.items():
        values = [plain[name] for name in names if plain.get(name) is not None]
        if values:
            found[field] = values[0]
    return found


def _plain_kalibr(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """A camchain of one camera under the names of the other formats; any other file as it is."""
    chain = [name for name in content if re.fullmatch(r"cam\d+", str(name))]
    if not chain or not isinstance(content[chain[0]], Mapping):
        return content
    if len(chain) > 1:
        several = ", ".join(map(str, chain))
        raise _unreadable(path, f"it holds more than one camera ({several})", "Keep only the camera that you use.")
    camera = dict(content[chain[0]])
    if str(camera.get("camera_model", "pinhole")) != "pinhole":
        raise _unreadable(path, f'its camera model is "{camera["camera_model"]}", not pinhole')
    intrinsics = _floats(camera.get("intrinsics") or [], "intrinsics", path)
    if len(intrinsics) != 4:
        raise _unreadable(path, f"it has {len(intrinsics)} instead of four intrinsics (fu fv pu pv)")
    focal_u, focal_v, middle_u, middle_v = intrinsics
    plain = {key: value for key, value in camera.items() if key not in ("intrinsics", "resolution")}
    matrix = [focal_u, 0.0, middle_u, 0.0, focal_v, middle_v, 0.0, 0.0, 1.0]
    return {**plain, "camera_matrix": matrix, "image_size": camera.get("resolution") or []}


def _check_model(found: Mapping[str, Any], path: Path) -> None:
    model = str(found.get("model", "")).strip().lower().replace(" ", "_")
    fisheye = str(found.get("fisheye", 0)).strip().lower() not in ("0", "false", "")
    if model not in _MODELS or fisheye:
        reason = f'its lens model is "{model or "fisheye"}", not plumb_bob or rational_polynomial'
        hint = "Calibrate with the standard model; the numbers of a fisheye calibration mean something else."
        raise _unreadable(path, reason, hint)


def _size(found: Mapping[str, Any], path: Path) -> tuple[Any, Any]:
    if "width" in found and "height" in found:
        width, height = _floats([found["width"], found["height"]], "image size", path)
        return width, height
    if "size" in found:
        return _pair(found["size"], "image_size", path)
    hint = "Add image_width and image_height of the images that it was calibrated with."
    raise _unreadable(path, "it has no image size (image_width, image_height)", hint)


def _pair(value: Any, what: str, path: Path) -> tuple[Any, Any]:
    numbers = _floats(value, what, path)
    if len(numbers) != 2 or not all(number.is_integer() for number in numbers):
        raise _unreadable(path, f"{what} must be two whole numbers, not {numbers}")
    return int(numbers[0]), int(numbers[1])


def _grid(numbers: list[float]) -> list[list[float]] | list[float]:
    return [numbers[row : row + 3] for row in (0, 3, 6)] if len(numbers) == 9 else numbers


def _floats(value: Any, what: str, path: Path) -> list[float]:
    """Numbers from one number, a list, a list of lists, or a mapping with `data` (as many as its rows x cols)."""
    expected = None
    if isinstance(value, Mapping):
        rows, columns = value.get("rows"), value.get("cols")
        expected = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None
        value = value.get("data") or []
    rows_of = value if isinstance(value, list) else [value]
    flat = [item for row in rows_of for item in (row if isinstance(row, list) else [row])]
    numbers = [_float(item, what, path) for item in flat]
    if expected is not None and expected[0] * expected[1] != len(numbers):
        reason = f"the {what} must have {expected[0]} x {expected[1]} numbers, not {len(numbers)}"
        raise _unreadable(path, reason, "The file is damaged: write it again.")
    return numbers


def _float(value: Any, what: str, path: Path) -> float:
    # YAML 1.1 as pyyaml reads it takes "1e-05" and OpenCV's ".Nan" for text.
    try:
        return float(re.sub(r"\A([-+]?)\.(?=[a-zA-Z])", r"\1", value.strip()) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise _unreadable(path, f"the {what} must be numbers, not {value!r:.60}") from None


# Writing ------------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Safe YAML with OpenCV's matrices tagged, and texts in double quotes, which every reader takes."""


class _Matrix(dict[str, Any]):
    pass


class _Text(str):
    pass


_Dumper.add_representer(
    _Matrix, lambda dumper, matrix: dumper.represent_mapping("tag:yaml.org,2002:opencv-matrix", matrix.items())
)
_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _extras(camera: Camera) -> dict[str, Any]:
    extras: dict[str, Any] = {"calibration_source": _Text(camera.source)}
    if camera.std is not None:
        extras["calibration_std"] = camera.std.tolist()
    if camera.derived_from is not None:
        extras["derived_from"] = list(camera.derived_from)
    return extras


def _coefficients(camera: Camera) -> list[float]:
    # Other readers want at least five; `Camera` takes all zeros for none.
    return camera.distortion.tolist() or [0.0] * 5


def _ros_text(camera: Camera) -> str:
    matrix, coefficients = camera.matrix.ravel().tolist(), _coefficients(camera)
    projection = [*matrix[:3], 0.0, *matrix[3:6], 0.0, *matrix[6:], 0.0]
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": _Text(camera.name),
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_model": "plumb_bob" if len(coefficients) <= 5 else "rational_polynomial",
        "distortion_coefficients": {"rows": 1, "cols": len(coefficients), "data": coefficients},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]},
        "projection_matrix": {"rows": 3, "cols": 4, "data": projection},
        **_extras(camera),
    }
    return _dumped(content)


def _opencv_text(camera: Camera) -> str:
    coefficients = _coefficients(camera)
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": _Text(camera.name),
        "camera_matrix": _Matrix(rows=3, cols=3, dt="d", data=camera.matrix.ravel().tolist()),
        "distortion_coefficients": _Matrix(rows=1, cols=len(coefficients), dt="d", data=coefficients),
        **_extras(camera),
    }
    return "%YAML:1.0\n---\n" + _dumped(content)


def _kalibr_text(camera: Camera) -> str:
    lens = camera.distortion.tolist() or [0.0] * 4
    if any(lens[4:]):
        raise CameraError(
            "Kalibr's radtan model (k1 k2 p1 p2) cannot hold a lens with k3 or more.",
            hint="Save it as ROS or OpenCV YAML, which hold the whole lens.",
        )
    content = {
        "cam0": {
            "camera_model": "pinhole",
            "intrinsics": camera.pinhole.tolist(),
            "distortion_model": "radtan",
            "distortion_coeffs": lens[:4],
            "resolution": list(camera.size),
            "camera_name": _Text(camera.name),
            **_extras(camera),
        }
    }
    return _dumped(content)


def _dumped(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _write_whole(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
