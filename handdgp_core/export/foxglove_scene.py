"""scene.mcap: what Foxglove's 3D panel shows best, the meshes as triangles, beside pictures, camera and keypoints."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from mcap.writer import CompressionType, Writer

from handdgp_core.files import MIB, name_part, output_errors, part_of, remove
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import foxglove, schema
from handdgp_core.sessions.stored_images import encode_jpeg
from handdgp_core.types import Frame, Hand

__all__ = ["SCENE", "FoxgloveScene"]

SCENE = "/hands/scene"
_TYPES: dict[str, Any] = {
    **{topic: schema.TYPES[topic] for topic in (schema.IMAGE, schema.CALIBRATION, schema.TRANSFORM, schema.KEYPOINTS)},
    SCENE: SceneUpdate,
}
_QUALITY = 90
_CALIBRATION_EVERY_NS = 1_000_000_000


class FoxgloveScene:
    """Exporter: one MCAP file with Foxglove's types alone. Times are those of the frames, from zero.

    Args:
        path: ending in .mcap; its folder exists. One that is there is replaced.
    """

    reserve_bytes = 2 * MIB

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = part_of(path)
        self._channels: dict[str, int] = {}
        self._start_ns: int | None = None
        self._last_ns = -1
        self._camera: tuple[Camera, int] | None = None
        with output_errors(path):
            self._file: BinaryIO = open(self._part, "wb")  # noqa: SIM115 - closed by close()
        self._writer = Writer(self._file, compression=CompressionType.ZSTD)
        with output_errors(path):
            self._writer.start("", "handdgp-live")

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Add one frame. Raises OutputError."""
        self._start_ns = frame.stamp_ns if self._start_ns is None else self._start_ns
        time_ns = max(frame.stamp_ns - self._start_ns, self._last_ns + 1)
        self._last_ns = time_ns
        with output_errors(self.path):
            if not self._channels:
                self._register()
            if self._camera is None or camera != self._camera[0] or time_ns >= self._camera[1]:
                self._camera = (camera, time_ns + _CALIBRATION_EVERY_NS)
                self._add(schema.CALIBRATION, time_ns, foxglove.calibration(time_ns, camera))
                self._add(schema.TRANSFORM, time_ns, foxglove.transform(time_ns))
            self._add(schema.IMAGE, time_ns, foxglove.image(time_ns, encode_jpeg(frame.image, _QUALITY)))
            self._add(schema.KEYPOINTS, time_ns, foxglove.keypoint_marks(time_ns, hands))
            self._add(SCENE, time_ns, foxglove.scene(time_ns, hands))

    def close(self) -> None:
        """Completes the file. A second call does nothing. Raises OutputError."""
        if self._file.closed:
            return
        try:
            with output_errors(self.path):
                created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                self._writer.add_metadata("export", {"program": "handdgp-live", "created": created, "units": "metres"})
                self._writer.finish()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            name_part(self._part, self.path)
        finally:
            self._file.close()
            remove(self._part)

    def _register(self) -> None:
        for topic, message_type in _TYPES.items():
            name = message_type.DESCRIPTOR.full_name
            number = self._writer.register_schema(name, "protobuf", schema.descriptor_set(message_type))
            self._channels[topic] = self._writer.register_channel(topic, "protobuf", number)

    def _add(self, topic: str, time_ns: int, message: Any) -> None:
        self._writer.add_message(self._channels[topic], time_ns, message.SerializeToString(), time_ns)
