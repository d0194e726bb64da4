"""Which calibration of another program's recording is that of its pictures."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from handdgp_core.sessions.pairing import Place

__all__ = ["Calibrations", "same_camera"]

# What the last part of a topic's name says besides whose it is.
_TRANSPORTS = frozenset({"compressed", "jpeg", "jpg", "png", "webp", "avif", "theora", "ffmpeg", "transport"})
_COMMON = _TRANSPORTS | frozenset(
    {
        "image", "images", "raw", "color", "colour", "mono", "lossless", "camera", "info", "calibration", "calib",
        "picture", "pictures", "frame", "frames",
    }
)  # fmt: skip


class Calibrations:
    """The calibrations of the pictures: none where it is not sure which they are.

    Args:
        image_topic, image_frame: topic of the pictures, and the frame of reference that they name.
        places: every calibration message, in order of time.
        topics: name of the topic of every channel.
        frame_of: reads the frame of reference of a calibration message.

    Attributes:
        note: why calibrations in the file are not used; empty where they are, or where there are none.
    """

    def __init__(
        self,
        image_topic: str,
        image_frame: str,
        places: Sequence[Place],
        topics: Mapping[int, str],
        frame_of: Callable[[Place], str],
    ) -> None:
        first = {place.entry.channel: place for place in reversed(places)}
        topic_of = {channel: topics.get(channel, image_topic) for channel in first}  # the names may be lost
        fitting = {
            channel
            for channel, place in first.items()
            if same_camera(image_topic, image_frame, topic_of[channel], frame_of(place))
        }
        self.note = ""
        if first and len({topic_of[channel] for channel in fitting}) != 1:
            names = ", ".join(sorted({topic_of[channel] for channel in fitting or first}))
            self.note = f"no calibration is used: it is not clear whether it belongs to {image_topic} ({names})"
        elif fitting and "rect" in image_topic.lower():
            self.note = f"no calibration is used: {image_topic} seems to hold rectified images"
        self._places = [] if self.note else [place for place in places if place.entry.channel in fitting]
        self._times_ns = [place.entry.time_ns for place in self._places]

    def at(self, time_ns: int) -> Place | None:
        """The last one until then, or the first one."""
        if not self._places:
            return None
        return self._places[max(bisect_right(self._times_ns, time_ns) - 1, 0)]


def same_camera(image_topic: str, image_frame: str, topic: str, frame: str) -> bool:
    """Whether a calibration is that of the pictures.

    Its topic must lie beside theirs and differ in nothing but the common words, as /left/image_raw and
    /left/camera_info do; and the frames of reference must not contradict.
    """
    if image_frame and frame and image_frame != frame:
        return False
    return _whose(image_topic) == _whose(topic)


def _whose(topic: str) -> tuple[str, frozenset[str]]:
    """The folder of a topic, and what its last part says of the camera."""
    folder, _, last = topic.strip("/").rpartition("/")
    above, _, before = folder.rpartition("/")
    if last.lower() in _TRANSPORTS and "image" in before.lower():
        folder, last = above, before
    words = frozenset(re.split(r"[^a-z0-9]+", last.lower())) - _COMMON - {""}
    return folder, words
