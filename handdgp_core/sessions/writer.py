"""Writes a session: an MCAP file with Foxglove's message types and our own. docs/session-format.md describes it."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from handdgp_core.errors import OutputError, UsageError
from handdgp_core.files import MIB, as_output_error, check_room, name_new, remove
from handdgp_core.geometry import camera_files
from handdgp_core.geometry.camera import Camera
from handdgp_core.privacy import without_secrets
from handdgp_core.sessions import codec, foxglove, schema
from handdgp_core.sessions.parts import part_path, reserve_path
from handdgp_core.sessions.sized_writer import CHUNK_BYTES, HEAD_BYTES, SizedWriter
from handdgp_core.sessions.stored_images import LOSSLESS_ENCODING, LOWEST_QUALITY, encode_jpeg, encode_lossless
from handdgp_core.sessions.stream import ReserveStream
from handdgp_core.types import Frame

__all__ = ["CAMERA_FILE", "MESH_FILE", "SessionInfo", "SessionWriter", "WriterOptions"]

CAMERA_FILE, MESH_FILE = "camera.yaml", "mesh-"
_CALIBRATION_EVERY_NS = 1_000_000_000
_MESH_EVERY_NS = 10_000_000_000  # repeated, so that a piece cut out of a recording has it, too
_FRAMES_REMEMBERED = 512  # results come a little after their frames
_STEP_NS = 1_000_000


@dataclass(frozen=True)
class SessionInfo:
    """What a session states about itself; every value becomes text in the file's metadata.

    Attributes:
        program, program_version: who wrote it.
        source: name of what was recorded.
        is_live, is_rendered: what the source is.
        model, model_sha256, device: of the model in use.
        hand_length_mm: the user's own hand, or None.
        settings: the settings of the program when the recording began.
    """

    program: str = "handdgp-live"
    program_version: str = ""
    source: str = ""
    is_live: bool = False
    is_rendered: bool = False
    model: str = ""
    model_sha256: str = ""
    device: str = ""
    hand_length_mm: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WriterOptions:
    """How a session is written.

    Attributes:
        jpeg_quality: 20 to 100.
        lossless: keep every bit of every picture, besides the JPEG: for short takes.
        reserve_bytes: room that is kept free for the end of the file.
    """

    jpeg_quality: int = 90
    lossless: bool = False
    reserve_bytes: int = 16 * MIB

    def __post_init__(self) -> None:
        if not LOWEST_QUALITY <= self.jpeg_quality <= 100:
            raise UsageError(
                f"Could not record with a JPEG quality of {self.jpeg_quality}.",
                hint=f"Choose one from {LOWEST_QUALITY} to 100.",
            )


class SessionWriter:
    """One session file. Not thread-safe. Leaving the `with` block finishes it, whatever happened.

    The file grows under `part_path(path)` and gets its name from `finish`. Every `flush` ends a chunk: a process that
    dies loses what came after the last one.

    Args:
        path: of the finished file; neither it nor its part may exist.
        info: goes into the file with the first frame, together with the camera.
        options: see there.

    Attributes:
        frames, hands: frames, and results of frames, added so far.
        frames_safe: frames that are in the file whatever happens now; the others are in the chunk in progress.

    Raises:
        OutputError: the file cannot be made, or is there already.

    Examples:
        >>> with SessionWriter(path, SessionInfo(source="webcam")) as writer:
        ...     writer.add_frame(frame, camera)
        ...     writer.add_hands(frame, RecordedHands(hands, camera))
    """

    def __init__(self, path: Path, info: SessionInfo, options: WriterOptions | None = None) -> None:
        settings = without_secrets(dict(info.settings))
        self.info = replace(
            info, source=without_secrets(info.source), model=without_secrets(info.model), settings=settings
        )
        self.path, self.options = path, options or WriterOptions()
        self.frames = self.frames_safe = self.hands = 0
        self._part = part_path(path)
        self._open_file()
        self._writer = SizedWriter(self._stream)
        self._channels: dict[str, int] = {}
        self._log_times: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._epoch_ns = 0  # log time minus stamp
        self._last_log_ns = 0
        self._camera: Camera | None = None
        self._cameras = 0
        self._calibration_due_ns = 0
        self._mesh_due_ns: dict[str, int] = {}
        self._mesh_ids: dict[int, tuple[Any, str]] = {}
        self._settings: Mapping[str, Any] = settings
        self._begun = self._closed = self._broken = False
        with self._guarded():
            self._writer.start(schema.PROFILE, f"{info.program} {info.program_version}".strip())

    @property
    def bytes_written(self) -> int:
        """Size of the file so far."""
        return self._stream.tell()

    @property
    def finished_bytes(self) -> int:
        """The most that the file takes up if it is finished now."""
        if self._begun:
            return self._writer.finished_bytes
        kept = (json.dumps(dict(settings), default=str) for settings in (self.info.settings, self._settings))
        return self._writer.finished_bytes + HEAD_BYTES + sum(map(len, kept))

    @property
    def reserve_bytes(self) -> int:
        """Room that is still kept free for the end of the file."""
        return self._stream.reserve_bytes

    @property
    def full(self) -> OutputError | None:
        """Not None once the disk is full and the reserve is in use: finish now."""
        return None if self._stream.full is None else as_output_error(self.path, self._stream.full)

    def add_frame(self, frame: Frame, camera: Camera | None) -> None:
        """Add a picture and the camera that is in use for it.

        Raises:
            OutputError: the disk failed even though the reserve was given up; what was flushed before is safe.
        """
        time_ns = self._time_of(frame)
        frame, camera = _public(frame), _public(camera)
        with self._guarded():
            if not self._begun:
                self._begin(time_ns, camera)
            self._keep_camera(time_ns, camera)
            self._add(schema.FRAME, time_ns, codec.frame_message(frame, camera))
            picture = encode_jpeg(frame.image, self.options.jpeg_quality)
            self._add(schema.IMAGE, time_ns, foxglove.image(time_ns, picture))
            if self.options.lossless:
                height, width = frame.image.shape[:2]
                exact = schema.LosslessImageMessage(width=width, height=height, encoding=LOSSLESS_ENCODING)
                exact.data = encode_lossless(frame.image)
                self._add(schema.LOSSLESS, time_ns, exact)
        self.frames += 1
        self._note_safe()

    def add_hands(self, frame: Frame, recorded: codec.RecordedHands) -> bool:
        """Add what the model predicted for a frame that was added before.

        Returns:
            False for a frame that is not in the file; nothing is written then.
        Raises:
            OutputError: as `add_frame`.
        """
        time_ns = self._log_times.get((frame.index, frame.stamp_ns))
        if time_ns is None:
            return False
        recorded = replace(recorded, camera=_public(recorded.camera), model=without_secrets(recorded.model))
        with self._guarded():
            names = [self._keep_mesh(hand.faces, time_ns) for hand in recorded.hands]
            self._add(schema.HANDS, time_ns, codec.hands_message(frame, recorded, names))
            self._add(schema.POINTS, time_ns, foxglove.point_cloud(time_ns, recorded.hands))
            self._add(schema.KEYPOINTS, time_ns, foxglove.keypoint_marks(time_ns, recorded.hands))
        self.hands += 1
        return True

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Note that the settings are these from now on."""
        settings = without_secrets(dict(settings))
        if settings == self._settings:
            return
        self._settings = settings
        if self._begun:
            with self._guarded():
                self._write_settings(self._last_log_ns)

    def flush(self) -> None:
        """End the chunk: what was added so far survives the end of the process. Raises OutputError."""
        with self._guarded():
            self._writer.flush()
        self._note_safe()

    def finish(self, closing: Mapping[str, str] | None = None) -> Path:
        """Write the index, and give the file its name. A second call does nothing.

        Args:
            closing: facts about how the recording ended, for the metadata.
        Returns:
            the finished file: `path`, or another name beside it where somebody has made a file of that name by now.
        Raises:
            OutputError: it could not be finished. The part stays, and can be repaired.
        """
        if self._closed:
            return self.path
        if self._broken:
            self.abandon()
            raise OutputError(
                "Could not finish the recording, since writing it had failed.", hint=f"Repair {self._part}."
            )
        self.check_place()
        with self._guarded():
            if not self._begun:
                self._begin(time.time_ns(), None)
            facts = {"frames": str(self.frames), "results": str(self.hands), **(closing or {})}
            self.flush()
            self._writer.add_metadata("session_end", facts)
            self._writer.finish()
            self._stream.sync()
        self.abandon()
        self.path = name_new(self._part, self.path)
        return self.path

    def check_place(self) -> None:
        """Raises OutputError where somebody has deleted or moved the file, or its folder, while it is written."""
        gone = self._stream.gone
        if not gone:
            return
        self._broken = True
        if gone == "deleted":
            self.frames_safe = 0
        hint = "Record again." if gone == "deleted" else "Repair it where it is now; what was written is in it."
        raise OutputError(f"The recording ended because {self._part} was {gone}.", hint=hint)

    def discard(self) -> None:
        """Close and remove a file that holds nothing."""
        self.abandon()
        remove(self._part)

    def abandon(self) -> None:
        """Close without finishing; the part stays. Safe to repeat."""
        self._closed = True
        self._stream.close()

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._broken:
            self.abandon()
        else:
            self.finish()

    # Inside

    def _open_file(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                raise FileExistsError(17, "File exists", str(self.path))
            check_room(self.path.parent, self.options.reserve_bytes + CHUNK_BYTES)
            self._stream = ReserveStream(self._part, reserve_path(self.path), self.options.reserve_bytes)
        except FileExistsError as error:
            blocker = Path(error.filename or self._part).name
            raise OutputError(
                f"Could not record to {self.path}: {blocker} is there already.", hint="Choose another name."
            ) from error
        except OSError as error:
            raise as_output_error(self.path, error) from error

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """After a write that failed the library's own records are gone: nothing more may be written."""
        try:
            yield
        except OSError as error:
            self._broken = True
            raise as_output_error(self.path, error) from error

    def _begin(self, time_ns: int, camera: Camera | None) -> None:
        """Everything that the rest of the file needs, in a small chunk of its own that is flushed at once."""
        for kind, channel in schema.registrations():
            number = self._writer.register_schema(kind.name, kind.encoding, kind.data)
            self._channels[channel.topic] = self._writer.register_channel(
                channel.topic, channel.message_encoding, number
            )
        self._writer.add_metadata("session", self._facts(time_ns, camera))
        self._begun = True
        self._write_settings(time_ns)
        self._add(schema.TRANSFORM, time_ns, foxglove.transform(time_ns))
        self._writer.flush()

    def _facts(self, time_ns: int, camera: Camera | None) -> dict[str, str]:
        info = self.info
        length = "" if info.hand_length_mm is None else f"{info.hand_length_mm:.3f}"
        facts = {
            "format_version": str(schema.VERSION),
            "program": info.program,
            "program_version": info.program_version,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns / 1e9)),
            "source": info.source,
            "is_live": str(info.is_live).lower(),
            "is_rendered": str(info.is_rendered).lower(),
            "model": info.model,
            "model_sha256": info.model_sha256,
            "device": info.device,
            "hand_length_mm": length,
            "hand_length_is": "crease to tip",
            "jpeg_quality": str(self.options.jpeg_quality),
            "lossless": str(self.options.lossless).lower(),
            "settings": json.dumps(dict(info.settings), sort_keys=True),
        }
        if camera is not None:
            facts |= {"camera": camera.name, "camera_source": camera.source, "camera_file": CAMERA_FILE}
        return facts

    def _keep_camera(self, time_ns: int, camera: Camera | None) -> None:
        """A calibration message each second and at every change; each camera also as a file."""
        if camera is None:
            return
        changed = self._camera is None or camera != self._camera
        if changed or time_ns >= self._calibration_due_ns:
            self._add(schema.CALIBRATION, time_ns, foxglove.calibration(time_ns, camera))
            self._add(schema.TRANSFORM, time_ns, foxglove.transform(time_ns))
            self._calibration_due_ns = time_ns + _CALIBRATION_EVERY_NS
        if changed:
            self._camera = camera
            self._cameras += 1
            name = CAMERA_FILE if self._cameras == 1 else f"camera-{self._cameras}.yaml"
            data = camera_files.as_text(camera).encode()
            self._writer.add_attachment(time_ns, time_ns, name, "application/yaml", data)

    def _keep_mesh(self, faces: Any, time_ns: int) -> str:
        known = self._mesh_ids.get(id(faces))
        if known is None or known[0] is not faces:
            known = (faces, codec.mesh_id(faces))  # holding the array keeps its id from being used again
            if len(self._mesh_ids) > 8:
                self._mesh_ids.clear()
            self._mesh_ids[id(faces)] = known
        name = known[1]
        if name not in self._mesh_due_ns:  # outside of any chunk, so that no damaged chunk takes it along
            data = codec.mesh_message(name, faces).SerializeToString()
            self._writer.add_attachment(time_ns, time_ns, f"{MESH_FILE}{name}", "application/x-protobuf", data)
        if time_ns >= self._mesh_due_ns.get(name, 0):
            self._add(schema.MESH, time_ns, codec.mesh_message(name, faces))
            self._mesh_due_ns[name] = time_ns + _MESH_EVERY_NS
        return name

    def _write_settings(self, time_ns: int) -> None:
        data = json.dumps(dict(self._settings), sort_keys=True).encode()
        self._writer.add_message(self._channels[schema.SETTINGS], time_ns, data, time_ns)

    def _add(self, topic: str, time_ns: int, message: Any) -> None:
        data = message.SerializeToString()
        self._writer.add_message(self._channels[topic], time_ns, data, max(time.time_ns(), time_ns))
        self._note_safe()

    def _note_safe(self) -> None:
        if self._writer.chunk_is_empty:
            self.frames_safe = self.frames

    def _time_of(self, frame: Frame) -> int:
        """Time of day of the capture. It always rises, also where a played file starts again or seeks back."""
        if self.frames == 0:
            self._epoch_ns = time.time_ns() - frame.stamp_ns
        time_ns = frame.stamp_ns + self._epoch_ns
        if self.frames and time_ns <= self._last_log_ns:
            time_ns = self._last_log_ns + _STEP_NS
            self._epoch_ns = time_ns - frame.stamp_ns
        self._last_log_ns = time_ns
        self._log_times[frame.index, frame.stamp_ns] = time_ns
        while len(self._log_times) > _FRAMES_REMEMBERED:
            self._log_times.popitem(last=False)
        return time_ns


T = TypeVar("T", Frame, Camera, "Camera | None")


def _public(named: T) -> T:
    """The same without what opens a stream: its name may be the address of one."""
    if named is None or not named.name or "://" not in named.name:
        return named
    return replace(named, name=without_secrets(named.name))
