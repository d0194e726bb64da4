"""Small independent steps that bring what was read to what the program expects.

Each step looks only at what it needs and does nothing where its product is there already, so that steps can be added
without a thought for the others. Their order is that of the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcap.records import Channel

from handdgp_core.sessions import schema

__all__ = ["Contents", "migrate"]

_IMAGE_TYPES = ("foxglove.CompressedImage",)


@dataclass
class Contents:
    """What a file states, before it is used.

    Attributes:
        facts: the metadata record "session".
        topics: topic of the pictures, hands and so on (the names of `schema`) to channel numbers.
        channels: every channel of the file.
        types: schema name of every channel.
        warnings: what the user should know.
    """

    facts: dict[str, str]
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


def settings_as_object(contents: Contents) -> None:
    """Facts without settings, or with settings that cannot be read, have none."""
    try:
        if isinstance(json.loads(contents.facts.get("settings", "")), dict):
            return
    except ValueError:
        pass
    contents.facts["settings"] = "{}"


STEPS: tuple[Callable[[Contents], None], ...] = (find_topics, take_any_camera, settings_as_object)


def migrate(contents: Contents) -> Contents:
    """Every step, in place; returns the same object."""
    for step in STEPS:
        step(contents)
    return contents


def version_of(facts: dict[str, Any]) -> int:
    """The format version that a file states; 0 where it states none."""
    try:
        return int(facts.get("format_version", 0))
    except ValueError:
        return 0
