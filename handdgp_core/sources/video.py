"""A video file: every frame in order, exact seeking, and an honest end where the file was cut short."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import ImageTransform, transform_of
from handdgp_core.sources.frame_times import FrameTimes
from handdgp_core.sources.names import shown_name
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, check_index, skipped_in_words
from handdgp_core.sources.urls import is_url
from handdgp_core.sources.video_decoder import Decoder, DecoderFactory, VideoDecoder
from handdgp_core.sources.video_faults import check_video, explain_video
from handdgp_core.types import Frame

FALLBACK_FPS = 30.0
STEP_LIMIT = 48  # up to here walking forward is cheaper than a jump to a key frame
JUMP_MARGINS = (0, 32, 256)  # how far before the wanted frame a jump aims, one try after the other
CLOSE_WAIT_S = 0.3
_WARNINGS_KEPT = 5
ATTEMPTS = 16  # at a frame that fails, before the video counts as ended


@dataclass(frozen=True)
class _Retrieved:
    """A frame's picture as it is shown."""

    image: NDArray[np.uint8]
    transform: ImageTransform | None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


class VideoSource(BaseSource):
    """A video file.

    Frames come as a player shows them: turned as the display matrix says, with square pixels, each in its own size; how
    that was done stands on the frame. Frame stamps are the container's times where these rise from frame to frame, else
    frame number / rate. Damaged frames are left out and counted in `skipped`; a file that ends early, or whose pictures
    change their size, has a `warning`.

    Args:
        path: the file (or a URL of one).
        camera: the camera that took it, where the caller knows; given to every frame.
        loop: start again after the last frame. Frame numbers start again at 0; stamps go on rising.
        name: to show; None takes the file's name.
        decoder_factory: what decodes it.

    Raises:
        SourceError: not there, empty, cut short, not a video, of a codec that cannot be decoded, or to be shown in
            another way than turned, mirrored and stretched.
    """

    is_seekable = True

    def __init__(
        self,
        path: str | Path,
        camera: Camera | None = None,
        loop: bool = False,
        name: str | None = None,
        decoder_factory: DecoderFactory = VideoDecoder,
    ) -> None:
        super().__init__()
        self.path = str(path)
        self.name = name or shown_name(Path(path).name)
        self.loop = loop
        self._camera = camera
        self._factory = decoder_factory
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._warnings: list[str] = []
        self._lap_ns = 0  # added to the stamps of the current lap
        self._last_stamp_ns = -1
        self._open()

    def _open(self) -> None:
        self._decoder = self._decode()
        self._next = 0  # number of the frame that is read next
        self._grabbed_ms: float | None = None  # time of frame `_next` where the decoder already holds it
        self._stated_fps = self._decoder.fps
        self._fps = self._stated_fps or FALLBACK_FPS
        self._times = FrameTimes(self._fps)
        self._count = self._decoder.frame_count
        self._image: _Retrieved | None = None  # of the grabbed frame, where it was retrieved ahead of reading
        try:
            self._image = self._first_frame()
        except SourceError:
            self._decoder.close()
            raise
        if self._image is None:
            self._decoder.close()
            raise explain_video(self.path, self.name, opened=True)
        self._size = self._image.size

    def _decode(self) -> Decoder:
        if not is_url(self.path):
            check_video(self.path)
        try:
            return self._factory(self.path)
        except (OSError, av.FFmpegError) as error:
            raise explain_video(self.path, self.name) from error

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def nominal_fps(self) -> float | None:
        return self._stated_fps

    @property
    def frame_count(self) -> int | None:
        return self._count

    @property
    def camera(self) -> Camera | None:
        return self._camera

    @property
    def warning(self) -> str | None:
        parts = [*self._warnings, skipped_in_words(self.skipped)]
        return "; ".join(part for part in parts if part) or None

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next frame, None after the last one or `close`. `timeout_s` is not needed: decoding takes no waiting."""
        with self._lock:
            frame = self._read()
            if frame is None and self.loop and self._next > 0 and not self._closed.is_set():
                self._lap_ns = self._last_stamp_ns + round(1e9 / self._fps)
                self._go_to(0)
                frame = self._read()
            if self._closed.is_set():
                self._decoder.close()
                return None
            return frame

    def seek(self, index: int) -> None:
        """Make exactly frame `index` the next one. Stamps are those of the file, so they go back with it.

        Raises:
            SourceError: outside the video.
        """
        with self._lock:
            if self._closed.is_set():
                return
            check_index(index, self._count if self._count is not None else index + 1, self.name)
            self._go_to(index)
            self._last_stamp_ns = -1

    def close(self) -> None:
        self._closed.set()
        # A reader that hangs on a network file holds the lock; it closes the decoder itself when it gets free.
        if self._lock.acquire(timeout=CLOSE_WAIT_S):
            try:
                self._decoder.close()
            finally:
                self._lock.release()

    def _read(self) -> Frame | None:
        while not self._closed.is_set() and self._grab():
            assert self._grabbed_ms is not None
            index, time_ms = self._next, self._grabbed_ms
            picture = self._retrieve() if self._image is None else self._image
            self._drop_grabbed()
            if picture is None:
                self._skip(index, "its picture cannot be decoded")
                continue
            self._note_size(index, picture.size)
            stamp_ns = self._stamp(index, time_ms)
            return Frame(picture.image, stamp_ns, index, camera=self._camera, transform=picture.transform)
        if not self._closed.is_set():
            self._note_end()
        return None

    def _grab(self) -> bool:
        """Let the decoder hold frame `_next`; True at once where it does already.

        A frame that is damaged ends the decoder's patience, not the video: the next one may be good. `_next` then
        leaps over what was lost.
        """
        attempts = ATTEMPTS if self._count is not None and self._next < self._count else 1
        for attempt in range(attempts if self._grabbed_ms is None else 0):
            if self._decoder.grab():
                time_ms = self._decoder.time_ms()
                if attempt > 0:
                    self._leap_to(self._times.index_of(time_ms))
                self._times.note(self._next, time_ms)
                self._grabbed_ms = time_ms
                break
        return self._grabbed_ms is not None

    def _leap_to(self, index: int | None) -> None:
        for lost in range(self._next, index if index is not None else self._next):
            self._skip(lost, "damaged")
            self._next = lost + 1

    def _drop_grabbed(self) -> None:
        self._next, self._grabbed_ms, self._image = self._next + 1, None, None

    def _first_frame(self) -> _Retrieved | None:
        for _ in range(ATTEMPTS):
            if not self._grab():
                return None
            picture = self._retrieve()
            if picture is not None:
                return picture
            self._skip(self._next, "its picture cannot be decoded")
            self._next, self._grabbed_ms = self._next + 1, None
        return None

    def _retrieve(self) -> _Retrieved | None:
        try:
            stored = self._decoder.retrieve()
        except SourceError as error:
            raise SourceError(f"Could not read {self.name}. {error.problem}", hint=error.hint) from error
        if stored is None:
            return None
        transform = transform_of(stored.image, stored.pixel_aspect, stored.orientation)
        return _Retrieved(stored.image if transform is None else transform.show(stored.image), transform)

    def _note_size(self, index: int, size: tuple[int, int]) -> None:
        if size != self._size and len(self._warnings) < _WARNINGS_KEPT:
            before, now = (f"{width}x{height}" for width, height in (self._size, size))
            text = f"{self.name}: the picture changes from {before} to {now} at frame {index}"
            if text not in self._warnings:  # on every lap
                self._warnings.append(text)
        self._size = size

    def _stamp(self, index: int, time_ms: float) -> int:
        stamp_ns = round(time_ms * 1e6 if self._times.are_sane else index * 1e9 / self._fps)
        self._last_stamp_ns = max(stamp_ns + self._lap_ns, self._last_stamp_ns + 1)
        return self._last_stamp_ns

    def _skip(self, index: int, reason: str) -> None:
        if len(self.skipped) < 1000:  # a looping damaged clip must not grow without end
            self.skipped.append((f"frame {index}", reason))

    def _note_end(self) -> None:
        """Compare what was read with what the container promised, and correct the count."""
        promised, read = self._count, self._next
        # Containers without an exact count estimate it from the duration: a frame or two less is no damage.
        if promised is not None and read < promised - max(2, promised // 50):
            self._warnings.append(
                f"{self.name} ends early: {read} of {promised} frames could be read. The file was cut short or is "
                "damaged; copy it again to get the rest"
            )
        self._count = read

    def _go_to(self, index: int) -> None:
        distance = index - self._next
        if distance == 0:
            return
        self._image = None
        if 0 < distance <= STEP_LIMIT and self._walk_to(index):
            return
        if self._times.can_jump_to(index):
            if any(self._jump_to(index, margin) for margin in JUMP_MARGINS):
                return
            self._rewind()  # nobody knows where the decoder stands now
        elif distance < 0:
            self._rewind()
        self._walk_to(index)

    def _walk_to(self, index: int) -> bool:
        while self._next < index and not self._closed.is_set():
            if not self._grab():
                self._note_end()
                return False
            if self._next < index:  # grabbing may have leapt over lost frames
                self._drop_grabbed()
        return True

    def _jump_to(self, index: int, margin: int) -> bool:
        """Jump to about `margin` frames before `index`, see from the time where that was, and walk the rest."""
        if self._closed.is_set():
            return True
        self._decoder.jump(max(index - margin, 0))
        self._grabbed_ms = None
        if not self._decoder.grab():
            return False
        time_ms = self._decoder.time_ms()
        landed = self._times.index_of(time_ms)
        if landed is None or landed > index:
            return False
        self._next, self._grabbed_ms = landed, time_ms
        return self._walk_to(index)

    def _rewind(self) -> None:
        """From the very start by opening again: the one way that works for every container."""
        self._decoder.close()
        try:
            self._decoder = self._decode()
        except SourceError as error:
            hint = "Open it again."
            raise SourceError(f"Could not rewind {self.name}: it can no longer be opened.", hint=hint) from error
        self._next, self._grabbed_ms = 0, None
