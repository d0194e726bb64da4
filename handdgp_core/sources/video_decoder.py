"""A video file, decoded by FFmpeg through PyAV: every frame as it is stored, with its time and how it is to be shown.

OpenCV's own reader keeps back what a camera needs: it squeezes frames whose size changes into the first one's, makes an
angle of a display matrix that mirrors, and opens by name, which not every file has in UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Protocol, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from handdgp_core.errors import SourceError
from handdgp_core.geometry.image_transform import WIDEST_PIXEL, orientation_of_matrix
from handdgp_core.sources.images import MAX_PIXELS
from handdgp_core.sources.urls import is_url

__all__ = ["DecodedFrame", "Decoder", "DecoderFactory", "VideoDecoder"]

URL_TIMEOUT_S = 5.0
# What a file may be. FFmpeg knows hundreds more, some of which are texts that name other files or addresses.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,mjpeg,ogg,asf,flv,mxf,"
    "gif,yuv4mpegpipe,dv,nut,rm"
)


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame.

    Attributes:
        image: (height, width, 3) uint8 RGB, as stored.
        pixel_aspect: width of a pixel over its height.
        orientation: EXIF's number of how it is to be turned.
    """

    image: NDArray[np.uint8]
    pixel_aspect: float = 1.0
    orientation: int = 1


class Decoder(Protocol):
    """What a video source needs of a decoder.

    Attributes:
        fps: frames per second as the container states it; None where that makes no sense.
        frame_count: as the container states or lets estimate it; None where it does not.
    """

    fps: float | None
    frame_count: int | None

    def grab(self) -> bool:
        """Go to the next frame. False at the end and at a damaged frame, after which the next one may be good."""
        ...

    def time_ms(self) -> float:
        """The container's time of the grabbed frame since the first one's; NaN where it has none."""
        ...

    def retrieve(self) -> DecodedFrame | None:
        """The grabbed frame's picture; None where it cannot be had.

        Raises:
            SourceError: it is to be shown turned by an odd angle, or has pixels of an impossible shape.
        """
        ...

    def jump(self, index: int) -> None:
        """Make a frame at or before number `index` the next one, as near as the container can tell."""
        ...

    def close(self) -> None:
        """Safe to repeat."""
        ...


class DecoderFactory(Protocol):
    """Opens a decoder of a file or a URL."""

    def __call__(self, path: str) -> Decoder: ...


class VideoDecoder:
    """PyAV's decoder as `Decoder`.

    Args:
        path: a file, or the URL of one.

    Raises:
        OSError, av.FFmpegError: it cannot be opened, or holds no video.
    """

    def __init__(self, path: str) -> None:
        self._file: BinaryIO | None = None if is_url(path) else open(path, "rb")  # noqa: SIM115 - closed in `close`
        try:
            self._container = av.open(path, timeout=URL_TIMEOUT_S) if self._file is None else _opened(self._file)
            if not self._container.streams.video:
                raise av.InvalidDataError(0, "no video stream")
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
        except BaseException:
            self.close()
            raise
        self._frames: Iterator[VideoFrame] = self._container.decode(self._stream)
        self._frame: VideoFrame | None = None
        self._to_rgb = VideoReformatter()  # a frame's own would start threads for every frame
        self._orientation = 1
        self._first_aspect = self._stream.sample_aspect_ratio
        self._aspects: dict[tuple[int, int], Fraction | None] = {}
        self.fps = _rate(self._stream.average_rate) or _rate(self._stream.guessed_rate)
        self.frame_count = self._stated_count()

    def grab(self) -> bool:
        try:
            self._frame = next(self._frames)
            return True
        except (StopIteration, av.FFmpegError):
            # An error ends PyAV's generator, not the video.
            self._frames = self._container.decode(self._stream)
            self._frame = None
            return False

    def time_ms(self) -> float:
        frame = self._frame
        if frame is None or frame.pts is None or frame.time_base is None:
            return float("nan")
        return float((frame.pts - (self._stream.start_time or 0)) * frame.time_base * 1000)

    def retrieve(self) -> DecodedFrame | None:
        frame = self._frame
        if frame is None or not 0 < frame.width * frame.height <= MAX_PIXELS:
            return None
        try:
            image = self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
        except (av.FFmpegError, ValueError):
            return None
        whole = np.ascontiguousarray(image, dtype=np.uint8)  # PyAV leaves gaps between rows of some widths
        return DecodedFrame(whole, self._aspect_of(frame), self._orientation_of(frame))

    def jump(self, index: int) -> None:
        base, fps = self._stream.time_base, self.fps
        if base is None or fps is None:
            return
        start = self._stream.start_time or 0
        with suppress(av.FFmpegError):  # the time of the next frame tells where the decoder stands
            self._container.seek(start + int(index / fps / base), stream=self._stream)
        self._frames = self._container.decode(self._stream)

    def close(self) -> None:
        container = getattr(self, "_container", None)
        if container is not None:
            container.close()
        if self._file is not None:
            self._file.close()

    def _stated_count(self) -> int | None:
        if self._stream.frames > 0:
            return self._stream.frames
        seconds = None
        if self._stream.duration and self._stream.time_base:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration:
            seconds = self._container.duration / av.time_base
        count = 0 if seconds is None or self.fps is None else round(seconds * self.fps)
        return count if 0 < count < 1e9 else None

    def _aspect_of(self, frame: VideoFrame) -> float:
        """Of the container; for pictures of another size than the first, what the codec says of that size."""
        context, size = self._stream.codec_context, (frame.width, frame.height)
        if not self._aspects:
            self._aspects[size] = self._first_aspect
        elif (context.width, context.height) == size:  # the codec may be ahead of its pictures
            self._aspects.setdefault(size, context.sample_aspect_ratio)
        stated = self._aspects.get(size, self._first_aspect)
        aspect = float(stated) if stated else 1.0
        if not 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL:
            raise SourceError(
                f"The video states pixels {aspect:.3g} times as wide as high.", hint="Set its aspect ratio with ffmpeg."
            )
        return aspect

    def _orientation_of(self, frame: VideoFrame) -> int:
        """Stays until a frame says otherwise: some streams say it at key frames alone."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            orientation = orientation_of_matrix(struct.unpack("9i", bytes(cast(bytes, matrix))))
            if orientation is None:
                raise SourceError(
                    f"The video is to be shown turned by {-frame.rotation} degrees or skewed, which is not supported.",
                    hint="Convert it: ffmpeg -i INPUT OUTPUT.mp4 turns the pictures themselves.",
                )
            self._orientation = orientation
        return self._orientation


def _opened(file: BinaryIO) -> av.container.InputContainer:
    return av.open(
        file,
        "r",
        container_options={"format_whitelist": _FORMATS},
        options={"max_pixels": str(MAX_PIXELS)},  # refused before they are allocated
        metadata_errors="replace",
        io_open=_no_other_file,
    )


def _no_other_file(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    """A video is one file: no demuxer opens a second one, or an address."""
    raise PermissionError(f"a video file must not open {url}")


def _rate(rate: Fraction | None) -> float | None:
    fps = float(rate) if rate else 0.0
    return fps if 0.1 <= fps <= 1000 else None
