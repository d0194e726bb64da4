"""`foxglove://`: a live server for Foxglove with the topics and schemas of our recordings."""

from __future__ import annotations

from typing import Any

import foxglove

from app.streams.content import FrameContent
from app.streams.sinks import Address
from handdgp_core.sessions import foxglove as messages
from handdgp_core.sessions import schema
from handdgp_core.sessions.stored_images import encode_jpeg

__all__ = ["OpenedSink"]

_JPEG_QUALITY = 80
_SCENE = "/hands/scene"


class OpenedSink:
    """Image, camera, hands as meshes and as points, for any number of viewers. Slow viewers miss frames."""

    def __init__(self, address: Address) -> None:
        self._context = foxglove.Context()
        types = {topic: schema.TYPES[topic] for topic in (schema.IMAGE, schema.CALIBRATION, schema.TRANSFORM)}
        types |= {schema.POINTS: schema.TYPES[schema.POINTS], schema.KEYPOINTS: schema.TYPES[schema.KEYPOINTS]}
        types[_SCENE] = type(messages.scene(0, ()))
        self._channels = {
            topic: foxglove.Channel(
                topic,
                schema=foxglove.Schema(
                    name=kind.DESCRIPTOR.full_name, encoding="protobuf", data=schema.descriptor_set(kind)
                ),
                message_encoding="protobuf",
                context=self._context,
            )
            for topic, kind in types.items()
        }
        self._server = foxglove.start_server(
            name="HandDGP Live", host=address.host, port=address.port, context=self._context, message_backlog_size=32
        )

    def send(self, content: FrameContent) -> None:
        """One frame on all topics."""
        time_ns = content.captured_unix_ns
        hands = [hand.hand for hand in content.hands]
        made: dict[str, Any] = {
            schema.TRANSFORM: messages.transform(time_ns),
            schema.CALIBRATION: messages.calibration(time_ns, content.camera),
            schema.IMAGE: messages.image(time_ns, encode_jpeg(content.frame.image, _JPEG_QUALITY)),
            schema.KEYPOINTS: messages.keypoint_marks(time_ns, hands),
            schema.POINTS: messages.point_cloud(time_ns, hands),
            _SCENE: messages.scene(time_ns, hands),
        }
        for topic, message in made.items():
            self._channels[topic].log(message.SerializeToString(), log_time=time_ns)

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()
