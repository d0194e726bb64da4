"""One image file, as it is stored, and how it is to be turned."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handdgp_core.errors import SourceError
from handdgp_core.geometry.image_transform import oriented, stored_from_shown
from handdgp_core.sources.capture import quiet_opencv
from handdgp_core.sources.file_kinds import image_format, still_format
from handdgp_core.sources.names import local_path, shown_name

__all__ = ["IMAGE_FORMATS", "StoredImage", "read_image", "read_stored"]

IMAGE_FORMATS = "JPEG, PNG, BMP, TIFF, WebP, JPEG 2000, PGM and PPM"
MAX_PIXELS = 200_000_000
_CONVERT = "Save it as PNG or JPEG; a phone can be set to take JPEG pictures (most compatible)."
_ORIENTATION = 0x0112
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # from half its own limit on; ours is told above it
_DEPTHS = (8, 10, 12, 14, 16)  # bits of sensors that store two bytes for each value


@dataclass(frozen=True)
class StoredImage:
    """An image file.

    Attributes:
        image: (height, width, 3) uint8 RGB, as stored.
        orientation: EXIF's, 1 to 8; 1 where there is none.
        bits: that hold the brightest value, where 16 have room and fewer are used: these were scaled to 8; else None.
    """

    image: NDArray[np.uint8]
    orientation: int = 1
    bits: int | None = None


def read_image(path: Path, use_exif: bool = True) -> NDArray[np.uint8]:
    """One image file as RGB, see `read_stored`.

    Args:
        path: the file.
        use_exif: turn the image as its EXIF orientation says. Off where intrinsics or keypoints belong to the pixels
            as they are stored.

    Returns:
        (height, width, 3) uint8.

    Raises:
        SourceError: as `read_stored`.
    """
    stored = read_stored(path)
    return oriented(stored.image, stored.orientation) if use_exif else stored.image


def read_stored(path: Path) -> StoredImage:
    """One image file.

    Grey images are repeated over the channels, an alpha channel is dropped. Of 16 bits the upper eight that are used
    are kept: cameras store 10, 12 or 14 bits in 16, which would be nearly black otherwise.

    Raises:
        SourceError: unreadable, empty, no image, or one of numbers that are no brightness; `problem` says which.
    """
    name = shown_name(path.name)
    content = _content(path, name)
    kind = _checked_kind(content[:64].tobytes(), path.suffix, name)
    header_tag = _checked_header(content, name)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        with quiet_opencv():
            image, kinds, blobs = cv2.imdecodeWithMetadata(content, flags=flags)
    except (cv2.error, MemoryError) as error:
        raise _bad_image(name, _brief(error), "Save it in a smaller size.") from error
    if image is None:
        raise _bad_image(name, "not an image that can be decoded", "Save it as PNG or JPEG.")
    eight, bits = _eight_bits(image, name)
    if kind == "TIFF":  # which OpenCV turns by itself, whatever it is told
        return StoredImage(stored_from_shown(eight, header_tag), header_tag, bits)
    exif = next((bytes(blob) for number, blob in zip(kinds, blobs, strict=True) if number == 0), b"")
    return StoredImage(eight, _exif_orientation(exif), bits)


def _content(path: Path, name: str) -> NDArray[np.uint8]:
    try:
        content = np.frombuffer(local_path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise _bad_image(name, error.strerror or "unreadable", "Check the file.") from error
    if content.size == 0:
        raise _bad_image(name, "the file is empty", "Copy it again.")
    return content


def _checked_kind(head: bytes, suffix: str, name: str) -> str:
    kind = image_format(head, suffix)
    if kind is None:
        other = still_format(head)
        reason = "not an image" if other is None else f"it is a picture of a kind that is not supported ({other})"
        raise _bad_image(name, reason, _CONVERT)
    return kind


def _checked_header(content: NDArray[np.uint8], name: str) -> int:
    """The orientation of a TIFF image, else 1; refuses a size that would fill the memory, before it does."""
    try:
        with Image.open(io.BytesIO(content.tobytes())) as header:
            width, height = header.size
            tag = _checked_tag(header.getexif().get(_ORIENTATION)) if header.format == "TIFF" else 1
    except Image.DecompressionBombError as error:
        raise _bad_image(name, f"it is too large ({_brief(error)})", "Save it in a smaller size.") from None
    except Exception:  # what Pillow does not read is left to OpenCV
        return 1
    if width * height > MAX_PIXELS:
        raise _bad_image(name, f"it has {width}x{height} pixels", f"Save it with less than {MAX_PIXELS:,}.")
    return tag


def _eight_bits(image: NDArray[np.generic], name: str) -> tuple[NDArray[np.uint8], int | None]:
    """The upper eight of the bits in use, and how many those are where the format has room for more."""
    if image.dtype == np.uint8:
        return np.asarray(image, dtype=np.uint8), None
    if image.dtype != np.uint16:
        raise _bad_image(name, f"its values are {image.dtype} numbers, not 8 or 16 bits", "Save it as PNG or JPEG.")
    values = np.asarray(image, dtype=np.uint16)
    brightest = int(values.max())
    bits = next(depth for depth in _DEPTHS if brightest < 1 << depth)
    return (values >> (bits - 8)).astype(np.uint8), None if bits == 16 else bits


def _exif_orientation(blob: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(blob)
        return _checked_tag(exif.get(_ORIENTATION))
    except Exception:  # damaged tags raise anything; the picture itself is whole
        return 1


def _checked_tag(tag: object) -> int:
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _bad_image(name: str, reason: str, hint: str) -> SourceError:
    return SourceError(f"Could not read {name}: {reason}.", hint=hint)


def _brief(error: Exception) -> str:
    return str(getattr(error, "err", "") or error).strip().splitlines()[0][:120] if str(error) else "too large"
