"""What a session file is made of: topics, message types and their schemas. docs/session-format.md describes it.

Foxglove's own message types come from their package. Ours are built here from descriptors, so that no generated code
and no compiler is needed, and the very same descriptors go into the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from mcap.records import Channel, Schema

__all__ = [
    "CALIBRATION",
    "FRAME",
    "HANDS",
    "IMAGE",
    "KEYPOINTS",
    "LOSSLESS",
    "MESH",
    "POINTS",
    "PROFILE",
    "SETTINGS",
    "SETTINGS_SCHEMA",
    "TRANSFORM",
    "TYPES",
    "VERSION",
    "FrameMessage",
    "HandsMessage",
    "LosslessImageMessage",
    "MeshMessage",
    "descriptor_set",
    "registrations",
]  # fmt: skip

PROFILE = "handdgp-session"
VERSION = 2  # 2: frames tell how their pictures came from the sensor's pixels

FRAME = "/session/frame"
SETTINGS = "/session/settings"
IMAGE = "/camera/image"
LOSSLESS = "/camera/image_lossless"
CALIBRATION = "/camera/calibration"
TRANSFORM = "/tf"
HANDS = "/hands"
MESH = "/hands/mesh"
POINTS = "/hands/points"
KEYPOINTS = "/hands/keypoints_2d"

_KINDS = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
}
# Field numbers are the places in these lists: only ever append, never remove or reorder.
# "*" marks a repeated field; a name of this table is a message. `bytes` hold float64, little-endian, row-major.
_MESSAGES: dict[str, list[tuple[str, str]]] = {
    "Camera": [
        ("width", "uint32"),
        ("height", "uint32"),
        ("matrix", "double*"),
        ("distortion", "double*"),
        ("name", "string"),
        ("source", "string"),
        ("std", "double*"),
        ("derived_from", "uint32*"),
        ("lens", "string"),
    ],
    "Frame": [
        ("index", "sint64"),
        ("stamp_ns", "sint64"),
        ("name", "string"),
        ("camera", "Camera"),
        ("picture", "Picture"),
    ],
    "Picture": [
        ("stored_width", "uint32"),
        ("stored_height", "uint32"),
        ("pixel_aspect", "double"),
        ("orientation", "uint32"),
    ],
    "Hand": [
        ("handedness", "string"),
        ("score", "double"),
        ("track_id", "sint64"),
        ("hand_scale", "double"),
        ("degenerate", "string"),
        ("mesh", "string"),
        ("root_m", "bytes"),
        ("root_covariance_m2", "bytes"),
        ("root_unmuted_m", "bytes"),
        ("weights", "bytes"),
        ("keypoints_px", "bytes"),
        ("keypoints_m", "bytes"),
        ("vertices_m", "bytes"),
        ("distance_std", "double"),
    ],
    "Hands": [
        ("frame_index", "sint64"),
        ("stamp_ns", "sint64"),
        ("model", "string"),
        ("inference_ms", "double"),
        ("hand_length_m", "double"),
        ("muted", "uint32*"),
        ("camera", "Camera"),
        ("hands", "Hand*"),
    ],
    "Mesh": [("id", "string"), ("faces", "bytes")],
    "LosslessImage": [("width", "uint32"), ("height", "uint32"), ("encoding", "string"), ("data", "bytes")],
}


def _field(number: int, name: str, kind: str) -> FieldDescriptorProto:
    repeated = kind.endswith("*")
    kind = kind.rstrip("*")
    field = FieldDescriptorProto(name=name, number=number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    if kind in _KINDS:
        field.type = _KINDS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".handdgp.{kind}"
    return field


def _own_file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="handdgp/session.proto", package="handdgp", syntax="proto3")
    for name, fields in _MESSAGES.items():
        entries = [_field(number, field, kind) for number, (field, kind) in enumerate(fields, start=1)]
        file.message_type.append(DescriptorProto(name=name, field=entries))
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_own_file())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"handdgp.{name}"))


FrameMessage, HandsMessage, MeshMessage = _message("Frame"), _message("Hands"), _message("Mesh")
LosslessImageMessage = _message("LosslessImage")

# Every protobuf topic and its type; SETTINGS alone is JSON.
TYPES: dict[str, Any] = {
    FRAME: FrameMessage,
    IMAGE: CompressedImage,
    LOSSLESS: LosslessImageMessage,
    CALIBRATION: CameraCalibration,
    TRANSFORM: FrameTransform,
    HANDS: HandsMessage,
    MESH: MeshMessage,
    POINTS: PointCloud,
    KEYPOINTS: ImageAnnotations,
}
SETTINGS_SCHEMA = b'{"type": "object", "title": "handdgp.Settings"}'


def registrations() -> Iterator[tuple[Schema, Channel]]:
    """The schema and the channel of every topic, numbered as every session file has them."""
    for number, (topic, message_type) in enumerate(TYPES.items(), start=1):
        name, data = message_type.DESCRIPTOR.full_name, descriptor_set(message_type)
        yield Schema(number, data, "protobuf", name), Channel(number, topic, "protobuf", {}, number)
    number = len(TYPES) + 1
    yield (
        Schema(number, SETTINGS_SCHEMA, "jsonschema", "handdgp.Settings"),
        Channel(number, SETTINGS, "json", {}, number),
    )


def descriptor_set(message_type: Any) -> bytes:
    """The serialized FileDescriptorSet of a message type: its file and all that it needs, each after its needs."""
    files: dict[str, FileDescriptorProto] = {}

    def add(file: Any) -> None:
        if file.name in files:
            return
        for needed in file.dependencies:
            add(needed)
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        files[file.name] = proto

    add(message_type.DESCRIPTOR.file)
    return FileDescriptorSet(file=files.values()).SerializeToString()
