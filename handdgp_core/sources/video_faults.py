"""Why a video file cannot be read, found by looking at its bytes."""

from __future__ import annotations

from pathlib import Path

from handdgp_core.errors import SourceError

_CONVERT = "Convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4."
_COPY = "Copy or export the file again."
_HEAD = 4096
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_PICTURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_CONTAINERS = {b"\x1aE\xdf\xa3": "Matroska or WebM", b"OggS": "Ogg", b"FLV": "Flash", b"\0\0\x01\xba": "MPEG"}


def explain_video(path: str, name: str, opened: bool = False) -> SourceError:
    """The error for a file that OpenCV does not open (or, `opened`, opens without giving one frame)."""
    file = Path(path)
    if not file.is_file():
        reason = "it is not a file" if file.exists() else "the file does not exist"
        return SourceError(f"Could not open {path}: {reason}.", hint="Check the path.")
    size = file.stat().st_size
    if size == 0:
        return SourceError(f"Could not open {name}: the file is empty.", hint=_COPY)
    try:
        head = _head(file)
        reason, hint = _explain_bytes(file, head)
    except OSError as error:
        reason, hint = f"the file cannot be read ({error.strerror})", "Check the file's permissions."
    if opened and "codec" not in reason:
        reason = f"it holds no frame that can be decoded ({size} bytes)"
    return SourceError(f"Could not open {name}: {reason}.", hint=hint)


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


def video_codec(file: Path) -> str | None:
    """Four-character code of the video track of an MP4 or AVI file, None where there is none to be found."""
    if _is_avi(_head(file)):
        content = _head(file)
        place = content.find(b"vids")
        return _printable(content[place + 4 : place + 8]) if place >= 0 else None
    moov = mp4_box(file, b"moov") or b""
    tracks = moov.split(b"trak")[1:]
    for track in tracks:
        place = track.find(b"stsd")
        if b"vide" in track and place >= 0:
            return _printable(track[place + 16 : place + 20])
    return None


def mp4_box(file: Path, kind: bytes) -> bytes | None:
    """Content of the first complete box of this kind at the top level of an MP4 file, None where there is none."""
    total = file.stat().st_size
    with file.open("rb") as stream:
        start = 0
        while start + 8 <= total:
            stream.seek(start)
            header = stream.read(16)
            length, name, used = int.from_bytes(header[:4], "big"), header[4:8], 8
            if length == 1:
                length, used = int.from_bytes(header[8:16], "big"), 16
            length = length or total - start
            if length < used or start + length > total:
                return None
            if name == kind:
                stream.seek(start + used)
                return stream.read(min(length - used, 64 << 20))
            start += length
    return None


def _explain_bytes(file: Path, head: bytes) -> tuple[str, str]:
    """The reason and the hint."""
    if looks_like_text(head):
        return "this is a text file, not a video", "Choose a video file."
    for magic, kind in _PICTURES.items():
        if head.startswith(magic):
            return f"this is a {kind} image, not a video", "Open the folder that holds the images instead."
    if head[4:8] in _MP4_BOXES:
        if mp4_box(file, b"moov") is None:
            return (
                f"the MP4 file is incomplete after {file.stat().st_size} bytes (its index, the 'moov' box, is missing)",
                "Copy it again; if the recording itself was interrupted, a repair tool such as untrunc may help.",
            )
        return _explain_codec(file)
    if _is_avi(head):
        return _explain_codec(file)
    for magic, kind in _CONTAINERS.items():
        if head.startswith(magic):
            return f"the {kind} file is damaged at its start or its codec is not supported", _CONVERT
    hint = "Choose a video (mp4, mov, avi, webm, mkv), an image, or a folder of images."
    return "not a recognised video format", hint


def _explain_codec(file: Path) -> tuple[str, str]:
    codec = video_codec(file)
    if codec is None:
        return "it has no video track", "Choose a file with video."
    return f"its codec '{codec}' cannot be decoded here, or the file is damaged", _CONVERT


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_HEAD)


def _printable(code: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "." for byte in code)
