"""Pictures, cameras and hands as Foxglove's own message types, so that any session opens in their viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from numpy.typing import NDArray

from handdgp_core.drawing.colours import HAND_COLOURS, weight_colours
from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.camera_text import message_lens
from handdgp_core.geometry.camera_values import Refusal, lens_of
from handdgp_core.hands.keypoints import BONES
from handdgp_core.types import Hand

__all__ = [
    "CAMERA_FRAME", "WORLD_FRAME", "calibration", "camera_of", "image", "keypoint_marks", "point_cloud", "scene",
    "set_time", "transform",
]  # fmt: skip

CAMERA_FRAME, WORLD_FRAME = "camera", "world"
_HALF = float(np.sqrt(0.5))
_POINT = np.dtype([("xyz", "<f4", 3), ("rgba", "u1", 4)])
_DOT_PX, _LINE_PX = 5.0, 2.0


def set_time(timestamp: Any, time_ns: int) -> None:
    """Fill a google.protobuf.Timestamp."""
    timestamp.seconds, timestamp.nanos = divmod(time_ns, 1_000_000_000)


def image(time_ns: int, data: bytes, image_format: str = "jpeg") -> CompressedImage:
    """foxglove.CompressedImage."""
    message = CompressedImage(frame_id=CAMERA_FRAME, data=data, format=image_format)
    set_time(message.timestamp, time_ns)
    return message


def calibration(time_ns: int, camera: Camera) -> CameraCalibration:
    """foxglove.CameraCalibration: plumb_bob up to five coefficients, else rational_polynomial; or kannala_brandt."""
    model, coefficients = message_lens(camera)
    message = CameraCalibration(frame_id=CAMERA_FRAME, width=camera.width, height=camera.height)
    set_time(message.timestamp, time_ns)
    message.distortion_model = "kannala_brandt" if model == "equidistant" else model  # Foxglove's name for it
    message.D.extend(coefficients)
    message.K.extend(camera.matrix.ravel().tolist())
    message.R.extend(np.eye(3).ravel().tolist())
    message.P.extend(np.hstack([camera.matrix, np.zeros((3, 1))]).ravel().tolist())
    return message


def camera_of(message: Any, name: str) -> Camera:
    """The camera of a foxglove.CameraCalibration.

    Args:
        message: of any program.
        name: for the camera.

    Raises:
        CameraError: of a lens model that is not known, or numbers that are no camera.
    """
    if not message.distortion_model and any(message.D):
        raise CameraError("The calibration cannot be used: it has coefficients of a lens model without a name.")
    try:
        lens, coefficients = lens_of(message.distortion_model, list(message.D))
    except Refusal as refusal:
        raise CameraError(f"The calibration cannot be used: {refusal.reason}.", hint=refusal.hint) from None
    if len(message.K) != 9 or not any(message.K):
        raise CameraError("The camera was never calibrated: its matrix is empty.")
    matrix = np.array(message.K).reshape(3, 3)
    return Camera(message.width, message.height, matrix, np.array(coefficients), name, lens=lens)


def transform(time_ns: int) -> FrameTransform:
    """foxglove.FrameTransform: the camera upright in a world whose z points up and whose y is where it looks."""
    message = FrameTransform(parent_frame_id=WORLD_FRAME, child_frame_id=CAMERA_FRAME)
    set_time(message.timestamp, time_ns)
    message.rotation.x, message.rotation.w = -_HALF, _HALF
    return message


def point_cloud(time_ns: int, hands: Sequence[Hand]) -> PointCloud:
    """foxglove.PointCloud of the vertices of all hands that have a place, one colour a side."""
    placed = [hand for hand in hands if hand.degenerate is None and np.isfinite(hand.vertices_m).all()]
    points = np.zeros(sum(len(hand.vertices_m) for hand in placed), _POINT)
    start = 0
    for hand in placed:
        part = points[start : start + len(hand.vertices_m)]
        part["xyz"], part["rgba"] = hand.vertices_m, (*HAND_COLOURS[hand.handedness], 255)
        start += len(hand.vertices_m)
    message = PointCloud(frame_id=CAMERA_FRAME, point_stride=_POINT.itemsize, data=points.tobytes())
    set_time(message.timestamp, time_ns)
    message.pose.orientation.w = 1.0
    for place, name in enumerate("xyz"):
        message.fields.add(name=name, offset=4 * place, type=PackedElementField.FLOAT32)
    for place, name in enumerate(("red", "green", "blue", "alpha")):
        message.fields.add(name=name, offset=12 + place, type=PackedElementField.UINT8)
    return message


def keypoint_marks(time_ns: int, hands: Sequence[Hand]) -> ImageAnnotations:
    """foxglove.ImageAnnotations: the 2D keypoints coloured by weight, and the bones between them."""
    message = ImageAnnotations()
    for hand in hands:
        pixels = hand.keypoints_px
        visible: NDArray[np.bool_] = np.all(np.isfinite(pixels), axis=1)
        dots = message.points.add(type=PointsAnnotation.POINTS, thickness=_DOT_PX)
        set_time(dots.timestamp, time_ns)
        places = pixels.tolist()
        colours = (weight_colours(hand.weights) / 255.0).tolist()
        for number in np.flatnonzero(visible).tolist():
            x, y = places[number]
            red, green, blue = colours[number]
            dots.points.add(x=x, y=y)
            dots.outline_colors.add(r=red, g=green, b=blue, a=1.0)
        lines = message.points.add(type=PointsAnnotation.LINE_LIST, thickness=_LINE_PX)
        set_time(lines.timestamp, time_ns)
        lines.outline_color.CopyFrom(_colour(HAND_COLOURS[hand.handedness]))
        for start, end in BONES:
            if visible[start] and visible[end]:
                lines.points.add(x=places[start][0], y=places[start][1])
                lines.points.add(x=places[end][0], y=places[end][1])
    return message


def scene(time_ns: int, hands: Sequence[Hand]) -> SceneUpdate:
    """foxglove.SceneUpdate: one entity of triangles and a sphere at the root for either side, removed where absent."""
    message = SceneUpdate()
    for side, colour in HAND_COLOURS.items():
        found = [hand for hand in hands if hand.handedness == side and hand.degenerate is None]
        if not found:
            gone = message.deletions.add(id=f"{side} hand")
            set_time(gone.timestamp, time_ns)
            continue
        entity = message.entities.add(id=f"{side} hand", frame_id=CAMERA_FRAME)
        set_time(entity.timestamp, time_ns)
        for hand in found:
            _add_mesh(entity, hand, colour)
    return message


def _add_mesh(entity: Any, hand: Hand, colour: Sequence[int]) -> None:
    mesh = entity.triangles.add(indices=hand.faces.ravel().tolist())
    mesh.pose.orientation.w = 1.0
    mesh.color.CopyFrom(_colour(colour))
    for x, y, z in hand.vertices_m.tolist():
        mesh.points.add(x=x, y=y, z=z)
    ball = entity.spheres.add()
    ball.pose.position.x, ball.pose.position.y, ball.pose.position.z = hand.root_m.tolist()
    ball.pose.orientation.w = 1.0
    ball.size.x = ball.size.y = ball.size.z = 0.012
    ball.color.CopyFrom(Color(r=1.0, g=1.0, b=1.0, a=1.0))


def _colour(rgb: Any) -> Color:
    red, green, blue = (float(channel) / 255 for channel in rgb)
    return Color(r=red, g=green, b=blue, a=1.0)
