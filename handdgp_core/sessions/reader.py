"""Reads a session: any frame and any result at once, without reading what lies between; also from damaged files."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from handdgp_core.errors import CameraError, SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.camera_values import Refusal, lens_of
from handdgp_core.sessions import codec, schema
from handdgp_core.sessions.facts import SessionFacts
from handdgp_core.sessions.migrations import Contents, migrate
from handdgp_core.sessions.pictures import decode_jpeg, decode_lossless
from handdgp_core.sessions.records import (
    MESSAGE_HEAD_BYTES,
    Damaged,
    Entry,
    SessionFile,
    chunk_data,
    index_entries,
    message_body,
    walk_messages,
)
from handdgp_core.sessions.scan import Inventory, Loss, describe_losses, scan, scan_quickly
from handdgp_core.sessions.writer import MESH_FILE
from handdgp_core.types import Frame

__all__ = ["DamagedFrame", "SessionReader"]

_CHUNKS_KEPT = 6
_DECODE_ERRORS = (DecodeError, ValueError, CameraError, Damaged)


class DamagedFrame(SourceError):
    """One frame of a session that cannot be read; the others may be fine."""


@dataclass(frozen=True)
class _Place:
    """Where a message lies."""

    chunk: int
    entry: Entry


class SessionReader:
    """An open session. May be used from several threads.

    Args:
        path: a session, finished or not; any MCAP file with Foxglove's compressed images will do.

    Attributes:
        path: as given.
        facts: metadata of the recording as text, see docs/session-format.md.
        closing: facts about its end; empty where it was never finished.
        finished: whether the file was finished and its index is sound.
        warnings: what the user should know.

    Raises:
        SourceError: it cannot be read, holds no pictures, or is of a newer version of the program.

    Examples:
        >>> with SessionReader(path) as session:
        ...     frame, recorded = session.frame(0), session.hands(0)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = SessionFile(path)
        except OSError as error:
            raise SourceError(
                f"Could not open the recording {path}: {error.strerror or error}.", hint="Check the path."
            ) from error
        try:
            self._load()
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
        return len(self._images)

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """(N,) capture times of all frames, nanoseconds since 1970."""
        return self._times_ns

    @property
    def result_count(self) -> int:
        """Frames with a recorded result (which may be: no hand)."""
        return sum(time_ns in self._by_topic[schema.HANDS] for time_ns in self._times_ns.tolist())

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
        return None if length_mm is None else length_mm / 1e3

    @property
    def attachments(self) -> dict[str, bytes]:
        """Attached files by name, e.g. camera.yaml."""
        return {record.name: record.data for record, _, _ in self._found.attachments}

    # Reading

    def facts_of(self, number: int) -> codec.FrameFacts:
        """Frame `number` (from 0) without its picture. Raises DamagedFrame."""
        time_ns = int(self._times_ns[number])
        place = self._by_topic[schema.FRAME].get(time_ns)
        if place is None:
            return codec.FrameFacts(number, time_ns, None, self._calibration_at(time_ns))
        return self._decoded(number, place, schema.FrameMessage, codec.frame_facts)

    def picture(self, number: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB of frame `number`, lossless where that was recorded. Raises DamagedFrame."""
        exact = self._by_topic[schema.LOSSLESS].get(int(self._times_ns[number]))
        if exact is not None:
            return self._decoded(
                number, exact, schema.LosslessImageMessage, lambda m: decode_lossless(m.data, m.width, m.height)
            )
        return self._decoded(number, self._images[number], schema.TYPES[schema.IMAGE], lambda m: decode_jpeg(m.data))

    def thumbnail(self, number: int, width: int = 160) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, small and quick. Raises DamagedFrame."""

        def small(message: Any) -> NDArray[np.uint8]:
            data = np.frombuffer(message.data, np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4) if len(data) else None
            if image is None:
                raise ValueError("a picture that cannot be decoded")
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), dtype=np.uint8)

        return self._decoded(number, self._images[number], schema.TYPES[schema.IMAGE], small)

    def frame(self, number: int) -> Frame:
        """Frame `number` (from 0) with the camera that was in use. Its stamp counts from the first frame.

        Raises:
            DamagedFrame: this one cannot be read.
        """
        facts = self.facts_of(number)
        stamp_ns = int(self._times_ns[number] - self._times_ns[0])
        return Frame(self.picture(number), stamp_ns, number, facts.name, facts.camera)

    def hands(self, number: int) -> codec.RecordedHands | None:
        """What the model predicted for frame `number`; None where it was never asked. Raises DamagedFrame."""
        place = self._by_topic[schema.HANDS].get(int(self._times_ns[number]))
        if place is None:
            return None
        return self._decoded(number, place, schema.HandsMessage, self._hands_from)

    def settings_at(self, number: int) -> dict[str, Any]:
        """The settings of the program when frame `number` was taken."""
        place = bisect_right(self._settings_times, int(self._times_ns[number]))
        return dict(self._settings[max(place - 1, 0)])

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

    def _load(self) -> None:
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
        contents = migrate(Contents(self._channels(), self._types()))
        self.warnings = contents.warnings
        self._index(contents.topics)
        if not self._images:
            lost = describe_losses(self._losses).removesuffix(".")
            reason = f": {lost}" if lost else ""
            raise SourceError(f"No images can be read from {self.path.name}{reason}.", hint="Choose another recording.")
        self._times_ns = np.array([place.entry.time_ns for place in self._images], dtype=np.int64)
        self._load_settings()
        if not self.finished:
            self.warnings.append(describe_losses(self._losses) or "the recording was never finished")

    def _check_version(self) -> None:
        version = self._known_facts.format_version or 0
        if version > schema.VERSION:
            raise SourceError(
                f"{self.path.name} has format {version}; this program reads recordings up to format {schema.VERSION}.",
                hint="Use a newer version of this program.",
            )

    def _channels(self) -> dict[int, Any]:
        known = {channel.id: channel for _, channel in schema.registrations()}
        return self._found.channels or known  # with the first chunk the names are lost; their numbers are fixed

    def _types(self) -> dict[int, str]:
        schemas = self._found.schemas
        return {
            number: schemas[channel.schema_id].name
            for number, channel in self._found.channels.items()
            if channel.schema_id in schemas
        }

    def _index(self, topics: dict[str, set[int]]) -> None:
        """Places by topic and time; the pictures in order of time, once each."""
        topic_of = {number: topic for topic, numbers in topics.items() for number in numbers}
        self._by_topic: dict[str, dict[int, _Place]] = {topic: {} for topic in (*schema.TYPES, schema.SETTINGS)}
        for number in range(len(self._found.chunks)):
            for entry in self._entries(number):
                topic = topic_of.get(entry.channel)
                if topic in self._by_topic:
                    self._by_topic[topic][entry.time_ns] = _Place(number, entry)
        images = self._by_topic[schema.IMAGE]
        self._images = [images[time_ns] for time_ns in sorted(images)]

    def _entries(self, number: int) -> list[Entry]:
        known = self._found.entries[number]
        if known is None:
            chunk = self._found.chunks[number]
            try:
                known = index_entries(self._file, chunk)
                if not known:
                    raise Damaged("no message index")
            except Damaged:
                known = self._walked(number)
            self._found.entries[number] = known
        return known

    def _walked(self, number: int) -> list[Entry]:
        try:
            return [entry for _, entry in walk_messages(self._data(number)) if entry is not None]
        except Damaged:
            return []

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
            while len(self._cache) > _CHUNKS_KEPT:
                self._cache.popitem(last=False)
        return data

    def _message(self, place: _Place) -> bytes:
        data, entry = self._data(place.chunk), place.entry
        try:
            start, size = message_body(data[entry.offset : entry.offset + MESSAGE_HEAD_BYTES], entry)
        except Damaged:  # a wrong index: the chunk itself tells
            entry = next((e for e in self._walked(place.chunk) if e[:2] == entry[:2]), None)  # type: ignore[assignment]
            if entry is None:
                raise
            start, size = message_body(data[entry.offset : entry.offset + MESSAGE_HEAD_BYTES], entry)
        if start + size > len(data):
            raise Damaged("a message that reaches beyond its chunk")
        return data[start : start + size]

    def _decoded(self, number: int, place: _Place, message_type: Any, use: Any) -> Any:
        try:
            return use(message_type.FromString(self._message(place)))
        except _DECODE_ERRORS as error:
            raise DamagedFrame(f"Frame {number} of {self.path.name} is damaged: {error}.") from error
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _hands_from(self, message: Any) -> codec.RecordedHands:
        needed = {entry.mesh for entry in message.hands}
        if not needed <= self._meshes.keys():
            self._load_meshes(needed)
        return codec.hands_from(message, self._meshes)

    def _load_meshes(self, needed: set[str]) -> None:
        attached = [record.data for record, _, _ in self._found.attachments if record.name.startswith(MESH_FILE)]
        copies: list[bytes | _Place] = [*attached, *self._by_topic[schema.MESH].values()]
        for copy in copies:
            if needed <= self._meshes.keys():
                return
            try:
                message = schema.MeshMessage.FromString(copy if isinstance(copy, bytes) else self._message(copy))
                self._meshes[message.id] = codec.mesh_faces(message)
            except _DECODE_ERRORS:  # there are more copies
                continue

    def _load_settings(self) -> None:
        self._settings_times: list[int] = []
        self._settings: list[dict[str, Any]] = []
        for time_ns, place in sorted(self._by_topic[schema.SETTINGS].items()):
            try:
                content = json.loads(self._message(place))
            except (ValueError, Damaged):
                continue
            if isinstance(content, dict):
                self._settings_times.append(time_ns)
                self._settings.append(content)
        if not self._settings:
            self._settings_times, self._settings = [0], [self._known_facts.settings or {}]

    def _calibration_at(self, time_ns: int) -> Camera | None:
        """From Foxglove's calibration message, for recordings of other programs."""
        known = self._by_topic[schema.CALIBRATION]
        times = sorted(known)
        if not times:
            return None
        place = known[times[max(bisect_right(times, time_ns) - 1, 0)]]
        try:
            message = schema.TYPES[schema.CALIBRATION].FromString(self._message(place))
            matrix = np.array(message.K).reshape(3, 3)
            lens, lens_numbers = lens_of(message.distortion_model, list(message.D))
            return Camera(message.width, message.height, matrix, np.array(lens_numbers), self.path.stem, lens=lens)
        except (*_DECODE_ERRORS, Refusal):
            return None


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"Could not read {path.name}: {error.strerror or error}.", hint="Check the disk.")
