"""A camera as the text of a file: ROS camera_info YAML, OpenCV FileStorage YAML, Kalibr's camchain YAML.

The keys `calibration_source`, `calibration_std` and `derived_from` are ours; other readers skip them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from handdgp_core.errors import CameraError

if TYPE_CHECKING:
    from handdgp_core.geometry.camera import Camera

__all__ = ["kalibr_text", "opencv_text", "ros_text"]


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


def ros_coefficients(camera: Camera) -> list[float]:
    # Other readers want at least five; `Camera` takes all zeros for none.
    return camera.distortion.tolist() or [0.0] * 5


def ros_text(camera: Camera) -> str:
    matrix, coefficients = camera.matrix.ravel().tolist(), ros_coefficients(camera)
    projection = [*matrix[:3], 0.0, *matrix[3:6], 0.0, *matrix[6:], 0.0]
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": _Text(camera.name),
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_model": ros_model(camera),
        "distortion_coefficients": {"rows": 1, "cols": len(coefficients), "data": coefficients},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]},
        "projection_matrix": {"rows": 3, "cols": 4, "data": projection},
        **_extras(camera),
    }
    return _dumped(content)


def message_lens(camera: Camera) -> tuple[str, list[float]]:
    """ROS' name of the lens model and its coefficients, as messages have them: plumb_bob always five."""
    coefficients = ros_coefficients(camera)
    missing = 0 if camera.lens == "fisheye" else max(0, 5 - len(coefficients))
    return ros_model(camera), coefficients + [0.0] * missing


def ros_model(camera: Camera) -> str:
    if camera.lens == "fisheye":
        return "equidistant"
    return "plumb_bob" if camera.distortion.size <= 5 else "rational_polynomial"


def opencv_text(camera: Camera) -> str:
    coefficients = ros_coefficients(camera)
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": _Text(camera.name),
        "camera_matrix": _Matrix(rows=3, cols=3, dt="d", data=camera.matrix.ravel().tolist()),
        "distortion_coefficients": _Matrix(rows=1, cols=len(coefficients), dt="d", data=coefficients),
        **({"fisheye_model": 1} if camera.lens == "fisheye" else {}),
        **_extras(camera),
    }
    return "%YAML:1.0\n---\n" + _dumped(content)


def kalibr_text(camera: Camera) -> str:
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
            "distortion_model": "equidistant" if camera.lens == "fisheye" else "radtan",
            "distortion_coeffs": lens[:4],
            "resolution": list(camera.size),
            "camera_name": _Text(camera.name),
            **_extras(camera),
        }
    }
    return _dumped(content)


def _dumped(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True)
