"""Why a video file cannot be read, found by looking at its bytes."""

from __future__ import annotations

from pathlib import Path

from handdgp_core.errors import SourceError
from handdgp_core.sources.file_kinds import head_of, image_format, looks_like_text, still_format
from handdgp_core.sources.names import local_path, shown_name
from handdgp_core.sources.urls import is_url

__all__ = ["check_video", "explain_video", "mp4_box", "video_codec"]

_CONVERT = "Convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4."
CONVERT_IMAGE = "Save it as JPEG or PNG; a phone can be set to take JPEG pictures (most compatible)."
_COPY = "Copy or export the file again."
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_YUV4MPEG = b"YUV4MPEG2 "
_ZSTD = b"\x28\xb5\x2f\xfd"
_BAGS = {b"#ROSBAG V": "a bag of ROS 1", b"SQLite format 3\0": "a database (ROS 2 keeps bags in such)"}
_CONTAINERS = {b"\x1aE\xdf\xa3": "Matroska or WebM", b"OggS": "Ogg", b"FLV": "Flash", b"\0\0\x01\xba": "MPEG"}


def check_video(path: str) -> None:
    """Refuse, before a decoder sees it, what is no video: FFmpeg takes texts for lists and pictures for videos.

    Raises:
        SourceError: nothing there, not a file, empty, unreadable, a text, or a still picture.
    """
    file = local_path(path)
    name = shown_name(file.name)
    if file.is_dir():
        raise SourceError(f"Could not open {name}: it is a folder.", hint="Choose a video file.")
    try:
        head = head_of(file)
    except OSError as error:
        raise _failed(name, f"the file cannot be read ({error.strerror})", "Check the file's permissions.") from error
    if not head:
        raise _failed(name, "the file is empty", _COPY)
    kind = image_format(head, file.suffix)
    if kind is not None:
        raise _failed(name, f"this is a {kind} image, not a video", "Open the folder that holds the images instead.")
    kind = still_format(head)
    if kind is not None:
        raise _failed(name, f"it is a picture of a kind that is not supported ({kind})", CONVERT_IMAGE)
    if looks_like_text(head) and not head.startswith(_YUV4MPEG):
        raise _failed(name, "it is a text file, neither a video nor a picture", "Choose another file.")


def explain_video(path: str, name: str, opened: bool = False) -> SourceError:
    """The error for a file that the decoder does not open (or, `opened`, opens without giving one frame)."""
    if is_url(path):
        return _failed(name, "there is no video that can be decoded", "Check the address.")
    file = Path(path)
    try:
        reason, hint = _explain_bytes(file, head_of(file))
        size = file.stat().st_size
    except OSError as error:
        return _failed(name, f"the file cannot be read ({error.strerror})", "Check the file's permissions.")
    if opened and "codec" not in reason:
        reason = f"it holds no frame that can be decoded ({size} bytes)"
    return _failed(name, reason, hint)


def _failed(name: str, reason: str, hint: str) -> SourceError:
    return SourceError(f"Could not open {name}: {reason}.", hint=hint)


def video_codec(file: Path) -> str | None:
    """Four-character code of the video track of an MP4 or AVI file, None where there is none to be found."""
    if _is_avi(head_of(file)):
        content = head_of(file)
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
    if head.startswith(_ZSTD):
        return "it is packed with zstd", "Unpack it first: zstd -d FILE."
    for magic, kind in _BAGS.items():
        if head.startswith(magic):
            return f"{kind} is not read here", "Extract its images into a folder, or record again with this program."
    hint = "Choose a video (mp4, mov, avi, webm, mkv), an image, or a folder of images."
    return "not a recognised video or image format", hint


def _explain_codec(file: Path) -> tuple[str, str]:
    codec = video_codec(file)
    if codec is None:
        return "it has no video track", "Choose a file with video."
    return f"its codec '{codec}' cannot be decoded here, or the file is damaged", _CONVERT


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _printable(code: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "." for byte in code)
