"""Frames, cameras and hands as messages of a session, and back, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import WIDEST_PIXEL, ImageTransform
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.sessions.schema import FrameMessage, HandsMessage, MeshMessage
from handdgp_core.types import Frame, Hand

__all__ = [
    "UNKNOWN", "FrameFacts", "RecordedHands", "camera_from", "frame_facts", "frame_message", "hands_from",
    "hands_message", "mesh_faces", "mesh_id", "mesh_message",
]  # fmt: skip


UNKNOWN = ImageTransform((0, 0), is_known=False)


@dataclass(frozen=True)
class FrameFacts:
    """A recorded frame without its picture.

    Attributes:
        index: its number in the source that was recorded.
        stamp_ns: as in `Frame`.
        name: as in `Frame`.
        camera: the camera that was in use for it, or None.
        transform: as in `Frame`, or one that changes nothing; `UNKNOWN` in recordings before format 2.
    """

    index: int
    stamp_ns: int
    name: str | None
    camera: Camera | None
    transform: ImageTransform | None = None


@dataclass(frozen=True)
class RecordedHands:
    """What the model predicted for one frame while it was recorded.

    Attributes:
        hands: as the estimator gave them, before smoothing.
        camera: the intrinsics of the solve.
        model: what the model calls itself.
        inference_ms: milliseconds of the estimate.
        hand_length_m: the user's own hand, or None.
        muted: keypoints without a say.
    """

    hands: list[Hand]
    camera: Camera
    model: str = ""
    inference_ms: float = 0.0
    hand_length_m: float | None = None
    muted: frozenset[int] = frozenset()


def mesh_id(faces: NDArray[np.int32]) -> str:
    """A short name for a list of triangles, the same for the same list everywhere."""
    return hashlib.sha256(np.ascontiguousarray(faces, dtype="<i4").tobytes()).hexdigest()[:16]


def mesh_message(name: str, faces: NDArray[np.int32]) -> Any:
    """handdgp.Mesh: triangles as int32."""
    return MeshMessage(id=name, faces=np.ascontiguousarray(faces, dtype="<i4").tobytes())


def mesh_faces(message: Any) -> NDArray[np.int32]:
    """(F, 3) of a handdgp.Mesh.

    Raises:
        ValueError: not whole triangles, or not those that its name stands for.
    """
    faces = np.frombuffer(message.faces, dtype="<i4").reshape(-1, 3).astype(np.int32)
    if mesh_id(faces) != message.id:
        raise ValueError(f"triangles that are not those of mesh {message.id}")
    return faces


def frame_message(frame: Frame, camera: Camera | None) -> Any:
    """handdgp.Frame."""
    message = FrameMessage(index=frame.index, stamp_ns=frame.stamp_ns, name=frame.name or "")
    if camera is not None:
        _put_camera(message.camera, camera)
    height, width = frame.image.shape[:2]
    transform = frame.transform or ImageTransform((width, height))
    if transform.is_known:
        picture = message.picture
        picture.stored_width, picture.stored_height = transform.stored_size
        picture.pixel_aspect, picture.orientation = transform.pixel_aspect, transform.orientation
    return message


def frame_facts(message: Any) -> FrameFacts:
    """The reverse of `frame_message`; raises ValueError or CameraError for what is no frame."""
    camera = camera_from(message.camera) if message.HasField("camera") else None
    transform = _transform(message.picture) if message.HasField("picture") else UNKNOWN
    return FrameFacts(message.index, message.stamp_ns, message.name or None, camera, transform)


def _transform(message: Any) -> ImageTransform:
    size, aspect, orientation = (message.stored_width, message.stored_height), message.pixel_aspect, message.orientation
    if not (min(size) > 0 and 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL and 1 <= orientation <= 8):
        raise ValueError("a picture turned or stretched in a way that cannot be")
    return ImageTransform(size, aspect, orientation)


def hands_message(frame: Frame | FrameFacts, recorded: RecordedHands, mesh_ids: Sequence[str]) -> Any:
    """handdgp.Hands.

    Args:
        frame: that the hands were found in.
        recorded: the hands.
        mesh_ids: beside the hands, the name of each one's triangles.
    """
    message = HandsMessage(
        frame_index=frame.index,
        stamp_ns=frame.stamp_ns,
        model=recorded.model,
        inference_ms=recorded.inference_ms,
        hand_length_m=recorded.hand_length_m or 0.0,
        muted=sorted(recorded.muted),
    )
    _put_camera(message.camera, recorded.camera)
    for hand, name in zip(recorded.hands, mesh_ids, strict=True):
        _put_hand(message.hands.add(), hand, name)
    return message


def hands_from(message: Any, meshes: dict[str, NDArray[np.int32]]) -> RecordedHands:
    """The reverse of `hands_message`.

    Args:
        message: a handdgp.Hands.
        meshes: (F, 3) triangles by name.

    Raises:
        ValueError, CameraError: arrays of the wrong size, or triangles that are not there.
    """
    return RecordedHands(
        hands=[_hand(entry, meshes) for entry in message.hands],
        camera=camera_from(message.camera),
        model=message.model,
        inference_ms=message.inference_ms,
        hand_length_m=message.hand_length_m or None,
        muted=frozenset(message.muted),
    )


def _put_hand(entry: Any, hand: Hand, name: str) -> None:
    entry.handedness, entry.score, entry.track_id = hand.handedness, hand.score, hand.track_id
    entry.hand_scale, entry.degenerate, entry.mesh = hand.hand_scale, hand.degenerate or "", name
    entry.distance_std = hand.distance_std
    for field in ("root_m", "root_covariance_m2", "weights", "keypoints_px", "keypoints_m", "vertices_m"):
        setattr(entry, field, _raw(getattr(hand, field)))
    if hand.root_unmuted_m is not None:
        entry.root_unmuted_m = _raw(hand.root_unmuted_m)


def _hand(entry: Any, meshes: dict[str, NDArray[np.int32]]) -> Hand:
    if entry.handedness not in ("left", "right"):
        raise ValueError(f"a hand that is {entry.handedness!r} instead of left or right")
    if entry.mesh not in meshes:
        raise ValueError(f"mesh {entry.mesh} is not in the file")
    vertices_m, faces = _array(entry.vertices_m, (-1, 3)), meshes[entry.mesh]
    if not entry.degenerate and not np.isfinite(vertices_m).all():
        raise ValueError("a hand without numbers")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices_m)):
        raise ValueError(f"{len(vertices_m)} vertices do not fit mesh {entry.mesh}")
    return Hand(
        handedness=entry.handedness,
        score=entry.score,
        vertices_m=vertices_m,
        keypoints_m=_array(entry.keypoints_m, (COUNT, 3)),
        keypoints_px=_array(entry.keypoints_px, (COUNT, 2)),
        weights=_array(entry.weights, (COUNT,)),
        root_m=_array(entry.root_m, (3,)),
        root_covariance_m2=_array(entry.root_covariance_m2, (3, 3)),
        hand_scale=entry.hand_scale,
        faces=faces,
        degenerate=entry.degenerate or None,
        track_id=entry.track_id,
        root_unmuted_m=_array(entry.root_unmuted_m, (3,)) if entry.root_unmuted_m else None,
        distance_std=entry.distance_std,
    )


def _put_camera(message: Any, camera: Camera) -> None:
    message.width, message.height = camera.size
    message.matrix.extend(camera.matrix.ravel().tolist())
    message.distortion.extend(camera.distortion.tolist())
    message.name, message.source = camera.name, camera.source
    message.std.extend([] if camera.std is None else camera.std.tolist())
    message.derived_from.extend(camera.derived_from or ())
    message.lens = camera.lens


def camera_from(message: Any) -> Camera:
    """A handdgp.Camera as `Camera`; raises CameraError for what is none."""
    derived = tuple(message.derived_from)
    return Camera(
        width=message.width,
        height=message.height,
        matrix=np.array(message.matrix).reshape(3, 3) if len(message.matrix) == 9 else np.array(message.matrix),
        distortion=np.array(message.distortion),
        name=message.name,
        source=message.source,
        std=np.array(message.std) if message.std else None,
        derived_from=derived if len(derived) == 2 else None,
        lens=message.lens or "opencv",  # recordings before 0.2 know no other
    )


def _raw(values: Array) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _array(data: bytes, shape: tuple[int, ...]) -> Array:
    """A writable copy; raises ValueError where the bytes do not fill the shape."""
    return np.frombuffer(data, dtype="<f8").reshape(shape).astype(np.float64)
