"""What a file is, by its first bytes: a name proves nothing."""

from __future__ import annotations

from pathlib import Path

__all__ = ["HEAD_BYTES", "head_of", "image_format", "is_session", "looks_like_text", "still_format"]

HEAD_BYTES = 4096
_IMAGES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
_TIFF_SUFFIXES = ("", ".tif", ".tiff")  # raw photographs are TIFF files, too, whose first picture is a thumbnail
# Still pictures that FFmpeg would take for videos, and give a part or a thumbnail of.
_STILL_BRANDS = {
    "HEIC": b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 miaf".split(),
    "AVIF": b"avif avis avci avcs".split(),
    "raw photograph": [b"crx "],
    "JPEG XL": [b"jxl "],
}
_STILL_HEADS = {
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"FUJIFILMCCD-RAW": "raw photograph",
    b"IIRO": "raw photograph",
    b"IIU\0": "raw photograph",
}
_SESSION = b"\x89MCAP0\r\n"


def head_of(path: Path) -> bytes:
    """The first bytes. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def image_format(head: bytes, suffix: str = "") -> str | None:
    """The format of an image that is read here, None for anything else.

    Args:
        head: the first bytes of the file.
        suffix: of its name; only tells a TIFF image from a raw photograph.
    """
    for magic, kind in _IMAGES.items():
        if head.startswith(magic):
            return None if kind == "TIFF" and suffix.lower() not in _TIFF_SUFFIXES else kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    is_pnm = len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return "PNM" if is_pnm else None


def still_format(head: bytes) -> str | None:
    """The format of a still picture that is not read here, None for anything else."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return next((kind for kind, brands in _STILL_BRANDS.items() if brand in brands), None)
    if head.startswith((b"II*\0", b"MM\0*")):
        return "raw photograph"
    return next((kind for magic, kind in _STILL_HEADS.items() if head.startswith(magic)), None)


def is_session(head: bytes) -> bool:
    """Whether this is an MCAP file."""
    return head.startswith(_SESSION)


def looks_like_text(head: bytes) -> bool:
    """True for bytes that are readable text."""
    if not head or b"\0" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a character cut at the end of what was read is no reason
            return False
        text = head[: error.start].decode("utf-8")
    return sum(character.isprintable() or character.isspace() for character in text) > 0.95 * len(text)
