"""Recordings as other programs write them: pictures that carry their number, a calibration, and nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcap.writer import Writer

from handdgp_core.sessions import foxglove, schema
from handdgp_core.sessions.stored_images import encode_jpeg
from tests.handdgp_core.sessions.conftest import CAMERA, make_frame

START_NS, STEP_NS = 1_700_000_000_000_000_000, 33_333_333


@dataclass
class Topic:
    """One topic of pictures or calibrations.

    Attributes:
        name: of the topic.
        kind: one of `schema.IMAGE` and `schema.CALIBRATION`.
        frame_id: that its messages name.
        encoding: of the messages, as the file states it.
        changes: fields of the calibration that differ from `CAMERA`.
        first: number of the first picture.
    """

    name: str
    kind: str = schema.IMAGE
    frame_id: str = "cam"
    encoding: str = "protobuf"
    changes: dict[str, Any] = field(default_factory=dict)
    first: int = 0


PICTURES = Topic("/camera/image")
CALIBRATION = Topic("/camera/calibration", schema.CALIBRATION)


def write_foreign(
    path: Path,
    topics: Sequence[Topic] = (CALIBRATION, PICTURES),
    count: int = 6,
    step_ns: int = STEP_NS,
    **options: Any,
) -> Path:
    """A recording by the MCAP library's own writer, which takes the options."""
    with path.open("wb") as stream:
        writer = Writer(stream, **options)
        writer.start(library="somebody else's")
        channels = []
        for topic in topics:
            kind = schema.TYPES[topic.kind]
            data = schema.descriptor_set(kind)
            number = writer.register_schema(kind.DESCRIPTOR.full_name, topic.encoding, data)
            channels.append(writer.register_channel(topic.name, topic.encoding, number))
        for index in range(count):
            time_ns = START_NS + index * step_ns
            for topic, channel in zip(topics, channels, strict=True):
                if topic.kind == schema.IMAGE or index == 0:
                    writer.add_message(channel, time_ns, _message(topic, index, time_ns), time_ns)
        writer.finish()
    return path


def _message(topic: Topic, index: int, time_ns: int) -> bytes:
    if topic.kind == schema.IMAGE:
        message = foxglove.image(time_ns, encode_jpeg(make_frame(topic.first + index).image, 90))
    else:
        message = foxglove.calibration(time_ns, CAMERA)
        for name, value in topic.changes.items():
            if isinstance(value, list):
                del getattr(message, name)[:]
                getattr(message, name).extend(value)
            else:
                setattr(message, name, value)
    message.frame_id = topic.frame_id
    return message.SerializeToString()
