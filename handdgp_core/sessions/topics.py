"""Which topics of a file are used, and why a file without pictures holds none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mcap.records import Channel, Header, Schema

from handdgp_core.errors import SourceError
from handdgp_core.sessions import schema

__all__ = ["IMAGE_TYPE", "Topics", "is_own", "no_images", "other_topics", "own_topics"]

_OWN_SCHEMA = "handdgp.Frame"
IMAGE_TYPE = "foxglove.CompressedImage"
_CALIBRATION_TYPE = "foxglove.CameraCalibration"
_JSON = {schema.SETTINGS}
_NAMED = 6  # topics in an error


@dataclass
class Topics:
    """What is read from a file.

    Attributes:
        channels: numbers of the channels of each topic that is used, by the names of `schema`.
        image: name of the topic of the pictures.
        notes: what the user should know.
    """

    channels: dict[str, set[int]] = field(default_factory=dict)
    image: str = schema.IMAGE
    notes: list[str] = field(default_factory=list)


def is_own(header: Header | None, facts: dict[str, str], schemas: dict[int, Schema]) -> bool:
    """Whether a file was written by this program, perhaps copied by another one."""
    return (
        (header is not None and header.profile == schema.PROFILE)
        or "format_version" in facts
        or any(kind.name == _OWN_SCHEMA for kind in schemas.values())
    )


def own_topics(channels: dict[int, Channel], schemas: dict[int, Schema]) -> Topics:
    """Every topic by its name, where it is of the type that it should have."""
    found = Topics()
    for number, channel in channels.items():
        encoding = "json" if channel.topic in _JSON else "protobuf"
        expected = schema.TYPES[channel.topic].DESCRIPTOR.full_name if channel.topic in schema.TYPES else None
        kind = schemas.get(channel.schema_id)
        if channel.message_encoding != encoding or (expected and kind is not None and kind.name != expected):
            continue
        found.channels.setdefault(channel.topic, set()).add(number)
    return found


def other_topics(
    name: str, channels: dict[int, Channel], schemas: dict[int, Schema], used: set[int], wanted: str | None
) -> Topics:
    """The pictures of another program's recording, and every calibration; which one is theirs is seen later.

    Args:
        name: of the file.
        channels, schemas: of the file.
        used: channels that have messages.
        wanted: topic of the pictures, or None where there should be only one.

    Raises:
        SourceError: several topics of pictures, or not the one that is wanted.
    """
    images: dict[str, set[int]] = {}
    found = Topics()
    for number, channel in channels.items():
        kind = schemas.get(channel.schema_id)
        if number not in used or kind is None or channel.message_encoding != "protobuf":
            continue
        if kind.name == IMAGE_TYPE:
            images.setdefault(channel.topic, set()).add(number)
        elif kind.name == _CALIBRATION_TYPE:
            found.channels.setdefault(schema.CALIBRATION, set()).add(number)
    if not images:
        return found
    found.image = _chosen(name, sorted(images), wanted)
    found.channels[schema.IMAGE] = images[found.image]
    rest = [topic for topic in sorted(images) if topic != found.image]
    note = f"not a session of this program: the pictures of {found.image} are shown"
    found.notes.append(f"{note}, not those of {_listed(rest)}" if rest else note)
    return found


def _chosen(name: str, topics: list[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in topics:
        raise SourceError(
            f"{name} holds no images under the topic {wanted}.", hint=f"Choose one of these: {_listed(topics)}."
        )
    if wanted is None and schema.IMAGE in topics:
        return schema.IMAGE
    if wanted is None and len(topics) > 1:
        raise SourceError(
            f"Could not open {name}: it holds images of {len(topics)} topics, {_listed(topics)}.",
            hint=f"Add the one you want to the name of the file: {name}#{topics[0]}",
        )
    return wanted or topics[0]


def no_images(name: str, channels: dict[int, Channel], schemas: dict[int, Schema], lost: str) -> SourceError:
    """Why a file cannot be shown."""
    failed = f"No images can be read from {name}"
    if lost:
        return SourceError(f"{failed}: {lost}.", hint="Choose another recording.")
    if not channels:
        return SourceError(f"{failed}: there is no message in it.", hint="Choose another recording.")
    kinds = [
        (channel.topic, schemas[channel.schema_id].name if channel.schema_id in schemas else "", channel)
        for channel in channels.values()
    ]
    pictures = [(topic, kind, channel) for topic, kind, channel in kinds if "image" in f"{topic} {kind}".lower()]
    told = [
        f"{topic} holds {kind or 'messages without a type'}, encoded as {channel.message_encoding or 'nothing known'}"
        for topic, kind, channel in pictures or kinds
    ]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return SourceError(
        f"{failed}: {', '.join(told[:_NAMED])}{more}; only {IMAGE_TYPE} encoded as protobuf can be read.",
        hint="Convert its images, or choose another recording.",
    )


def _listed(topics: Iterable[str]) -> str:
    return ", ".join(topics)
