"""Reads a session: any frame and any result at once, without reading what lies between; also from damaged files."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from mcap.records import AttachmentIndex
from numpy.typing import NDArray

from handdgp_core.errors import CameraError, SourceError
from handdgp_core.files import MIB
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import ImageTransform
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.sessions import codec, foxglove, schema
from handdgp_core.sessions.attachments import attachment_data
from handdgp_core.sessions.calibrations import Calibrations
from handdgp_core.sessions.entries import recovered_entry, sound_entries
from handdgp_core.sessions.facts import SessionFacts
from handdgp_core.sessions.pairing import Key, Place, in_order, pair, rising
from handdgp_core.sessions.records import (
    MESSAGE_HEAD_BYTES,
    Damaged,
    SessionFile,
    chunk_data,
    message_body,
)
from handdgp_core.sessions.scan import Inventory, Loss, describe_losses, scan, scan_quickly
from handdgp_core.sessions.stored_images import decode_image, decode_lossless, decode_small
from handdgp_core.sessions.topics import Topics, is_own, no_images, other_topics, own_topics
from handdgp_core.sessions.writer import MESH_FILE
from handdgp_core.types import Frame

__all__ = ["DamagedFrame", "SessionReader"]

_CACHE_BYTES = 64 * MIB
_FOR_VIEWERS = (schema.POINTS, schema.KEYPOINTS, schema.TRANSFORM)  # what this program writes and never reads
_LAST_TIME_NS = (1 << 63) - (1 << 53)  # times are counted in 63 bits, and spread a little where several are the same
_DECODE_ERRORS = (DecodeError, ValueError, ArithmeticError, TypeError, CameraError, Damaged)


class DamagedFrame(SourceError):
    """One frame of a session that cannot be read; the others may be fine."""


class SessionReader:
    """An open session. May be used from several threads.

    Args:
        path: a session, finished or not; any MCAP file with Foxglove's compressed images will do.
        image_topic: where the images of another program's recording lie; needed where it holds several cameras.

    Attributes:
        path: as given.
        facts: metadata of the recording as text, see docs/session-format.md.
        closing: facts about its end; empty where it was never finished.
        finished: whether the file was finished and its index is sound.
        warnings: what the user should know.

    Raises:
        SourceError: it cannot be read, holds no pictures or those of several cameras, or is of a newer version of the
            program.

    Examples:
        >>> with SessionReader(path) as session:
        ...     frame, recorded = session.frame(0), session.hands(0)
    """

    def __init__(self, path: Path, image_topic: str | None = None) -> None:
        self.path = path
        try:
            self._file = SessionFile(path)
        except OSError as error:
            raise SourceError(
                f"Could not open the recording {path}: {error.strerror or error}.", hint="Check the path."
            ) from error
        try:
            self._load(image_topic)
        except OSError as error:
            self.close()
            raise _unreadable(path, error) from error
        except BaseException:
            self.close()
            raise

    # What it holds

    @property
    def frame_count(self) -> int:
        """Pictures."""
        return len(self._frames)

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """(N,) capture times of all frames, nanoseconds since 1970, rising also where several were logged at once."""
        return self._times_ns

    @property
    def result_count(self) -> int:
        """Frames with a recorded result (which may be: no hand)."""
        return sum(map(self.has_result, range(self.frame_count)))

    @property
    def nominal_fps(self) -> float | None:
        """From the median time between frames; None for a single frame."""
        steps = np.diff(self._times_ns)
        return float(1e9 / np.median(steps)) if len(steps) else None

    @property
    def losses(self) -> list[Loss]:
        """Damaged parts found so far; `verify` finds all."""
        return list(self._losses)

    @property
    def is_rendered(self) -> bool:
        """Whether the recorded source was made by a renderer."""
        return bool(self._known_facts.is_rendered)

    @property
    def hand_length_m(self) -> float | None:
        """The user's own hand when the recording began."""
        length_mm = self._known_facts.hand_length_mm
        return None if length_mm is None else self._hand_length(length_mm / 1e3)

    @property
    def hand_length_std(self) -> float:
        """Relative standard deviation of that length."""
        percent = self.settings_at(0).get("hand_length_percent") if self.frame_count else None
        return percent / 200 if isinstance(percent, int | float) else 0.0

    @property
    def attachments(self) -> dict[str, bytes]:
        """Attached files by name, e.g. camera.yaml."""
        return {index.name: attachment_data(self._file, index) for index in self._found.attachments}

    # Reading

    def facts_of(self, number: int) -> codec.FrameFacts:
        """Frame `number` (from 0) without its picture. Raises DamagedFrame."""
        time_ns, place = int(self._times_ns[number]), self._frames[number].facts
        if place is None:
            transform = codec.UNKNOWN if self._is_own else None  # another program's pictures are taken as they are
            return codec.FrameFacts(number, time_ns, None, self._calibration_at(time_ns), transform)
        return self._decoded(number, place, schema.FrameMessage, codec.frame_facts)

    def image(self, number: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB of frame `number`, lossless where that was recorded. Raises DamagedFrame."""
        frame = self._frames[number]
        if frame.exact is not None:
            return self._decoded(
                number, frame.exact, schema.LosslessImageMessage, lambda m: decode_lossless(m.data, m.width, m.height)
            )
        return self._decoded(number, frame.image, schema.TYPES[schema.IMAGE], lambda m: decode_image(m.data))

    def thumbnail(self, number: int, width: int = 160) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, small and quick. Raises DamagedFrame."""
        place, kind = self._frames[number].image, schema.TYPES[schema.IMAGE]
        return self._decoded(number, place, kind, lambda message: decode_small(message.data, width))

    def frame(self, number: int) -> Frame:
        """Frame `number` (from 0) with the camera that was in use. Its stamp counts from the first frame.

        Raises:
            DamagedFrame: this one cannot be read.
        """
        facts = self.facts_of(number)
        stamp_ns = int(self._times_ns[number] - self._times_ns[0])
        image = self.image(number)
        return Frame(image, stamp_ns, number, facts.name, facts.camera, self._transform(number, image, facts))

    def hands(self, number: int) -> codec.RecordedHands | None:
        """What the model predicted for frame `number`; None where it was never asked. Raises DamagedFrame."""
        frame = self._frames[number]
        if frame.hands is None:
            return None
        facts = None if frame.facts is None else self.facts_of(number)
        return self._decoded(number, frame.hands, schema.HandsMessage, lambda m: self._hands_from(m, facts))

    def log_time_ns(self, number: int) -> int:
        """The time that the messages of frame `number` were logged under, nanoseconds since 1970."""
        return self._frames[number].image.entry.time_ns

    def has_result(self, number: int) -> bool:
        """Whether a result (which may be: no hand) was recorded for frame `number`."""
        return self._frames[number].hands is not None

    def settings_at(self, number: int) -> dict[str, Any]:
        """The settings of the program when frame `number` was taken."""
        place = bisect_right(self._settings_times, int(self._times_ns[number]))
        settings = dict(self._settings[max(place - 1, 0)])
        length_mm = settings.get("hand_length_mm")
        if isinstance(length_mm, int | float):
            settings["hand_length_mm"] = self._hand_length(float(length_mm))
        return settings

    def _hand_length(self, recorded: float) -> float:
        """From crease to tip; earlier recordings hold the length of the keypoints' chain that was used."""
        facts = self._known_facts
        earlier = facts.format_version is not None and facts.hand_length_is is None
        return length_of_chain(recorded) if earlier else recorded

    def verify(self) -> list[Loss]:
        """Compare the checksum of every chunk; all damaged parts."""
        for number in range(len(self._found.chunks)):
            try:
                self._data(number)
            except Damaged:
                continue
        return self.losses

    def close(self) -> None:
        """Safe to repeat."""
        self._file.close()

    def __enter__(self) -> SessionReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside

    def _load(self, wanted: str | None) -> None:
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._meshes: dict[str, NDArray[np.int32]] = {}
        found = scan_quickly(self._file) or scan(self._file)
        self._found: Inventory = found
        self._losses = list(found.losses)
        self.finished = found.finished
        metadata = {record.name: dict(record.metadata) for record, _, _ in found.metadata}
        self.facts, self.closing = metadata.get("session", {}), metadata.get("session_end", {})
        self._known_facts = SessionFacts.model_validate(self.facts)
        self._check_version()
        by_channel = self._by_channel()
        topics = self._topics(by_channel, wanted)
        self.warnings = [*found.notes, *topics.notes]
        self._places = {
            topic: in_order(place for number in sorted(numbers) for place in by_channel.get(number, ()))
            for topic, numbers in topics.channels.items()
        }
        self._pair(topics)
        self._load_settings()
        if self._losses or not self.finished:
            self.warnings.append(describe_losses(self._losses) or "the recording was never finished")

    def _check_version(self) -> None:
        version = self._known_facts.format_version or 0
        if version > schema.VERSION:
            raise SourceError(
                f"{self.path.name} has format {version}; this program reads recordings up to format {schema.VERSION}.",
                hint="Use a newer version of this program.",
            )

    @property
    def _is_own(self) -> bool:
        """Whether this program wrote it; a file that lost its first chunk and its index says so in its head alone."""
        found = self._found
        return is_own(found.header, self.facts, found.schemas)

    def _topics(self, by_channel: dict[int, list[Place]], wanted: str | None) -> Topics:
        found = self._found
        if not found.channels and self._is_own:  # the names are lost; their numbers are fixed
            return own_topics({channel.id: channel for _, channel in schema.registrations()}, {})
        if self._is_own and wanted is None:
            return own_topics(found.channels, found.schemas)
        return other_topics(self.path.name, found.channels, found.schemas, set(by_channel), wanted)

    def _by_channel(self) -> dict[int, list[Place]]:
        """Every message by its channel, in the order of the file; those of times that cannot be are left out."""
        places, counts = self._collected(trusts_index=not self._is_own)
        if self._found.counts is not None and counts != self._found.counts:
            self._found.entries = [None] * len(self._found.chunks)  # some index is wrong, though it makes sense
            places, _ = self._collected(trusts_index=False)
        for channel, found in places.items():
            if max(place.entry.time_ns for place in found) > _LAST_TIME_NS:
                places[channel] = [place for place in found if place.entry.time_ns <= _LAST_TIME_NS]
                count = len(found) - len(places[channel])
                self._found.notes.append(f"{count} message{'s have' if count > 1 else ' has'} a time that cannot be")
        return places

    def _collected(self, trusts_index: bool) -> tuple[dict[int, list[Place]], dict[int, int]]:
        """Places of the messages of the channels that are read, and the number of messages of all."""
        places: dict[int, list[Place]] = defaultdict(list)
        counts: dict[int, int] = defaultdict(int)
        skipped = {number for number, channel in self._found.channels.items() if channel.topic in _FOR_VIEWERS}
        for number, chunk in enumerate(self._found.chunks):
            entries = self._found.entries[number]
            if entries is None:
                entries = sound_entries(self._file, chunk, partial(self._data, number), trusts_index)
                self._found.entries[number] = entries
            for entry in entries:
                counts[entry.channel] += 1
                if entry.channel not in skipped:
                    places[entry.channel].append(Place(number, entry))
        return dict(places), dict(counts)

    def _pair(self, topics: Topics) -> None:
        """The pictures in order of time, each with what belongs to it."""
        of = self._places.get
        self._frames = pair(
            of(schema.IMAGE, []), of(schema.FRAME, []), of(schema.LOSSLESS, []), of(schema.HANDS, []),
            self._key_of_facts, self._key_of_hands,
        )  # fmt: skip
        if not self._frames:
            lost = describe_losses(self._losses).removesuffix(".") or "; ".join(self._found.notes)
            raise no_images(self.path.name, self._found.channels, self._found.schemas, lost)
        times_ns = np.array([frame.image.entry.time_ns for frame in self._frames], dtype=np.int64)
        self._times_ns = rising(times_ns)
        shared = int((np.diff(times_ns) == 0).sum())
        if shared:
            self.warnings.append(
                f"{shared} of {len(times_ns)} frames have the time of the one before: they are shown in the order of "
                "the file"
            )
        names = {number: channel.topic for number, channel in self._found.channels.items()}
        frame = self._frame_of(schema.IMAGE, self._frames[0].image)
        read_frame = partial(self._frame_of, schema.CALIBRATION)
        self._calibrations = Calibrations(topics.image, frame, of(schema.CALIBRATION, []), names, read_frame)
        if self._calibrations.note:
            self._warn(self._calibrations.note)
        self._calibration_at(int(self._times_ns[0]))  # for its warning

    def _key_of_facts(self, place: Place) -> Key | None:
        try:
            message = schema.FrameMessage.FromString(self._message(place))
        except _DECODE_ERRORS:
            return None
        return Key(message.index, message.stamp_ns)

    def _key_of_hands(self, place: Place) -> Key | None:
        try:
            message = schema.HandsMessage.FromString(self._message(place))
        except _DECODE_ERRORS:
            return None
        return Key(message.frame_index, message.stamp_ns)

    def _data(self, number: int) -> bytes:
        """The data of a chunk, its checksum compared."""
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
        chunk = self._found.chunks[number]
        try:
            data = chunk_data(self._file, chunk)
        except Damaged as damage:
            loss = Loss(chunk.start, chunk.end, str(damage), None, chunk.first_ns, chunk.last_ns)
            with self._lock:
                if all(known.start != chunk.start for known in self._losses):
                    self._losses.append(loss)
            raise
        with self._lock:
            self._cache[number] = data
            while len(self._cache) > 1 and sum(map(len, self._cache.values())) > _CACHE_BYTES:
                self._cache.popitem(last=False)
        return data

    def _message(self, place: Place) -> bytes:
        data, entry = self._data(place.chunk), place.entry
        try:
            start, size = message_body(data[entry.offset : entry.offset + MESSAGE_HEAD_BYTES], entry)
        except Damaged:  # a wrong index: the chunk itself tells
            entry = recovered_entry(data, entry, self._found.entries[place.chunk] or [])
            start, size = message_body(data[entry.offset : entry.offset + MESSAGE_HEAD_BYTES], entry)
        if start + size > len(data):
            raise Damaged("a message that reaches beyond its chunk")
        return data[start : start + size]

    def _decoded(self, number: int, place: Place, message_type: Any, use: Any) -> Any:
        try:
            return use(message_type.FromString(self._message(place)))
        except _DECODE_ERRORS as error:
            reason = str(error).removesuffix(".")
            raise DamagedFrame(f"Frame {number} of {self.path.name} is damaged: {reason}.") from error
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _hands_from(self, message: Any, facts: codec.FrameFacts | None) -> codec.RecordedHands:
        if facts is not None and (message.frame_index, message.stamp_ns) != (facts.index, facts.stamp_ns):
            raise Damaged("its result is that of another frame")
        needed = {entry.mesh for entry in message.hands}
        if not needed <= self._meshes.keys():
            self._load_meshes(needed)
        hands = codec.hands_from(message, self._meshes)
        length_m = hands.hand_length_m
        return hands if length_m is None else replace(hands, hand_length_m=self._hand_length(length_m))

    def _load_meshes(self, needed: set[str]) -> None:
        attached = [index for index in self._found.attachments if index.name.startswith(MESH_FILE)]
        copies: list[AttachmentIndex | Place] = [*attached, *self._places.get(schema.MESH, [])]
        for copy in copies:
            if needed <= self._meshes.keys():
                return
            try:
                data = self._message(copy) if isinstance(copy, Place) else attachment_data(self._file, copy)
                message = schema.MeshMessage.FromString(data)
                self._meshes[message.id] = codec.mesh_faces(message)
            except _DECODE_ERRORS:  # there are more copies
                continue

    def _load_settings(self) -> None:
        self._settings_times: list[int] = []
        self._settings: list[dict[str, Any]] = []
        for place in self._places.get(schema.SETTINGS, []):
            try:
                content = json.loads(self._message(place))
            except (*_DECODE_ERRORS, RecursionError):
                continue
            if isinstance(content, dict):
                self._settings_times.append(place.entry.time_ns)
                self._settings.append(content)
        if not self._settings:
            self._settings_times, self._settings = [0], [self._known_facts.settings or {}]

    def _transform(self, number: int, image: NDArray[np.uint8], facts: codec.FrameFacts) -> ImageTransform | None:
        """As in `Frame`. Versions that do not tell turned no pictures of webcams and of the demo."""
        size, transform = (image.shape[1], image.shape[0]), facts.transform
        if transform is codec.UNKNOWN:
            is_webcam = self._known_facts.is_live and "://" not in self.facts.get("source", "")
            return None if is_webcam or self.is_rendered else ImageTransform(size, is_known=False)
        if transform is None or transform == ImageTransform(size):
            return None
        if transform.shown_size != size:
            stated = "x".join(map(str, transform.shown_size))
            raise DamagedFrame(f"Frame {number} of {self.path.name} is damaged: it is not {stated}, as it says.")
        return transform

    def _calibration_at(self, time_ns: int) -> Camera | None:
        """From Foxglove's calibration message, for recordings of other programs."""
        place = self._calibrations.at(time_ns)
        if place is None:
            return None
        try:
            message = schema.TYPES[schema.CALIBRATION].FromString(self._message(place))
            return foxglove.camera_of(message, self.path.stem)
        except CameraError as error:
            self._warn(f"the calibration is not used: {error.problem.removesuffix('.')}")
        except _DECODE_ERRORS as error:
            self._warn(f"the calibration is not used: {error}")
        return None

    def _frame_of(self, topic: str, place: Place) -> str:
        """The frame of reference that a message names; empty where it cannot be read."""
        try:
            return str(schema.TYPES[topic].FromString(self._message(place)).frame_id)
        except (*_DECODE_ERRORS, OSError):
            return ""

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"Could not read {path.name}: {error.strerror or error}.", hint="Check the disk.")
