"""`rerun://`: a Rerun viewer that is already running and listens."""

from __future__ import annotations

import numpy as np
import rerun

from app.streams.content import SIDES, FrameContent, HandContent
from app.streams.sinks import Address
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.hands.keypoints import BONES

__all__ = ["OpenedSink", "log_frame"]


class OpenedSink:
    """Image, camera and hands, as Rerun's own types."""

    def __init__(self, address: Address) -> None:
        self._recording = rerun.RecordingStream("handdgp_live")
        self._recording.connect_grpc(f"rerun+http://{address.host}:{address.port}/proxy")

    def send(self, content: FrameContent) -> None:
        """One frame."""
        log_frame(self._recording, content)

    def close(self) -> None:
        """Send what waits, for a moment, and disconnect."""
        self._recording.disconnect()


def log_frame(recording: rerun.RecordingStream, content: FrameContent) -> None:
    """Put a frame into any Rerun recording."""
    camera = content.camera
    recording.set_time("captured", timestamp=np.datetime64(content.captured_unix_ns, "ns"))
    recording.set_time("frame", sequence=content.frame.index)
    recording.log("world", rerun.ViewCoordinates.RDF, static=True)
    pinhole = rerun.Pinhole(image_from_camera=camera.matrix, resolution=camera.size)
    recording.log("world/camera", pinhole)
    recording.log("world/camera/image", rerun.Image(content.frame.image).compress(jpeg_quality=80))
    hands = content.by_side
    for side in SIDES:
        if side in hands:
            _log_hand(recording, f"world/hands/{side}", hands[side])
        else:
            recording.log(f"world/hands/{side}", rerun.Clear(recursive=True))


def _log_hand(recording: rerun.RecordingStream, path: str, content: HandContent) -> None:
    hand, colour = content.hand, HAND_COLOURS[content.hand.handedness]
    mesh = rerun.Mesh3D(vertex_positions=hand.vertices_m, triangle_indices=hand.faces, albedo_factor=[*colour, 255])
    recording.log(f"{path}/mesh", mesh)
    recording.log(f"{path}/bones", rerun.LineStrips3D([hand.keypoints_m[list(pair)] for pair in BONES], colors=colour))
    distance_m = float(np.linalg.norm(content.palm_m))
    recording.log(f"{path}/distance_m", rerun.Scalars(distance_m))
