"""Small independent steps that bring what was read to what the program expects.

Each step looks only at what it needs and does nothing where its product is there already, so that steps can be added
without a thought for the others. Their order is that of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mcap.records import Channel

from handdgp_core.sessions import schema

__all__ = ["Contents", "migrate"]

_IMAGE_TYPES = ("foxglove.CompressedImage",)


@dataclass
class Contents:
    """What a file states, before it is used.

    Attributes:
        topics: topic of the pictures, hands and so on (the names of `schema`) to channel numbers.
        channels: every channel of the file.
        types: schema name of every channel.
        warnings: what the user should know.
    """

    channels: dict[int, Channel]
    types: dict[int, str]
    topics: dict[str, set[int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def find_topics(contents: Contents) -> None:
    """Version 1: every topic by its name."""
    for number, channel in contents.channels.items():
        contents.topics.setdefault(channel.topic, set()).add(number)


def take_any_camera(contents: Contents) -> None:
    """Recordings of other programs: the first channel of Foxglove's compressed images is the camera."""
    if contents.topics.get(schema.IMAGE):
        return
    for number, name in sorted(contents.types.items()):
        if name in _IMAGE_TYPES:
            contents.topics[schema.IMAGE] = {number}
            topic = contents.channels[number].topic
            contents.warnings.append(f"not a session of this program: the pictures of {topic} are shown")
            return


STEPS: tuple[Callable[[Contents], None], ...] = (find_topics, take_any_camera)


def migrate(contents: Contents) -> Contents:
    """Every step, in place; returns the same object."""
    for step in STEPS:
        step(contents)
    return contents
