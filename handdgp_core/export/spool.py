"""The rows of predictions.npz while a run goes on: a MCAP file that is complete after every row.

    header      profile "handdgp predictions 1"
    channel 1   "faces/right", 2 "faces/left": one message (F, 3) int32, little-endian
    channel 3   "rows", metadata {"vertices": V}: a message a hand, the row of `row_type(V)`, then JSON [image, reason]

Each write ends with the records that end a MCAP file, and the next one begins on top of them. So a run that is killed
leaves a file that any reader of MCAP opens, and `finish` makes predictions.npz of it.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, Header, Message
from numpy.typing import NDArray

from handdgp_core.errors import SourceError
from handdgp_core.files import whole_file
from handdgp_core.hands.keypoints import COUNT

__all__ = [
    "HEAD",
    "NUMBERS",
    "TAIL",
    "Spool",
    "count_rows",
    "faces_record",
    "finish",
    "is_spool",
    "row_record",
    "row_type",
    "rows_head",
]

NUMBERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("score", "<f4", ()),
    ("track_id", "<i8", ()),
    ("hand_scale", "<f4", ()),
    ("root_m", "<f4", (3,)),
    ("root_covariance_m2", "<f4", (3, 3)),
    ("keypoints_m", "<f4", (COUNT, 3)),
    ("keypoints_px", "<f4", (COUNT, 2)),
    ("weights", "<f4", (COUNT,)),
)
_MAGIC = b"\x89MCAP0\r\n"
_PROFILE = "handdgp predictions 1"
_FACES = {"right": 1, "left": 2}
_ROWS = 3
_MOST_VERTICES = 1_000_000
_BLOCK_ROWS = 256
_HINT = "Run `process` again."


def row_type(vertex_count: int) -> np.dtype[Any]:
    """One row of predictions.npz, but for what is text of any length."""
    head = [("frame_index", "<i8", ()), ("stamp_ns", "<i8", ()), ("handedness", "<U5", ())]
    return np.dtype([*head, *NUMBERS, ("distance_std_m", "<f4", ()), ("vertices_m", "<f4", (vertex_count, 3))])


def _records(*parts: Any) -> bytes:
    builder = RecordBuilder()
    for part in parts:
        part.write(builder)
    return bytes(builder.end())


HEAD = _MAGIC + _records(Header(profile=_PROFILE, library="handdgp-live"))
TAIL = _records(DataEnd(data_section_crc=0), Footer(summary_start=0, summary_offset_start=0, summary_crc=0)) + _MAGIC


def rows_head(vertex_count: int) -> bytes:
    """What comes before the first row."""
    return _records(_channel(_ROWS, "rows", vertices=str(vertex_count)))


def faces_record(side: str, faces: NDArray[np.int32]) -> bytes:
    """The faces (F, 3) of one side; once, anywhere before the end."""
    number = _FACES[side]
    content = np.ascontiguousarray(faces, "<i4").tobytes()
    return _records(_channel(number, f"faces/{side}"), Message(number, 0, content, 0, 0))


def row_record(number: int, row: NDArray[Any], image: str, reason: str) -> bytes:
    """One row, a scalar of `row_type`, and its texts."""
    stamp_ns = max(0, int(row["stamp_ns"]))  # MCAP's are unsigned
    content = row.tobytes() + json.dumps([image, reason]).encode()
    return _records(Message(_ROWS, stamp_ns, content, stamp_ns, number & 0xFFFFFFFF))


def _channel(number: int, topic: str, **metadata: str) -> Channel:
    return Channel(id=number, topic=topic, message_encoding="handdgp", metadata=metadata, schema_id=0)


@dataclass
class Spool:
    """What lies in a spool.

    Attributes:
        row_type: of the rows; that of no vertices where there is none.
        places: where each row begins in the file.
        images, reasons: texts of each row.
        faces: (F, 3) by side.
        is_whole: whether the file ends as it should.
    """

    row_type: np.dtype[Any]
    places: list[int] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    faces: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    is_whole: bool = False


def is_spool(path: Path) -> bool:
    """Whether a file begins as a spool does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HEAD)) == HEAD
    except OSError:
        return False


def count_rows(path: Path) -> int:
    """How many rows a spool holds. Raises SourceError."""
    with _mapped(path) as content:
        return len(_scan(content, path).places)


def finish(spool_path: Path, path: Path) -> Spool:
    """Make predictions.npz, with memory that does not grow with the rows; the spool stays.

    Raises:
        SourceError: the spool is damaged beyond its end. OutputError: the file cannot be written.
    """
    with _mapped(spool_path) as content:
        spool = _scan(content, spool_path)
        with whole_file(path) as part, open(part, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name in spool.row_type.names or ():
                    _write_rows(archive, name, spool, content)
                for name, column in _short_columns(spool).items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, column, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        return spool


def _write_rows(archive: zipfile.ZipFile, name: str, spool: Spool, content: mmap.mmap) -> None:
    kind = spool.row_type[name]
    count = len(spool.places)
    head = {"descr": np.lib.format.dtype_to_descr(kind.base), "fortran_order": False, "shape": (count, *kind.shape)}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array_header_1_0(entry, head)
        for start in range(0, count, _BLOCK_ROWS):
            block = [_row(content, spool, place)[name].tobytes() for place in spool.places[start : start + _BLOCK_ROWS]]
            entry.write(b"".join(block))


def _row(content: mmap.mmap, spool: Spool, place: int) -> NDArray[Any]:
    size = spool.row_type.itemsize
    return np.frombuffer(content[place : place + size], spool.row_type, 1)


def _short_columns(spool: Spool) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    if any(spool.images) or not spool.images:  # without rows nobody can tell a folder: the column is there, empty
        columns["image"] = np.array(spool.images, dtype=np.str_)
    columns["degenerate"] = np.array(spool.reasons, dtype=np.str_)
    left, right = spool.faces.get("left"), spool.faces.get("right")
    none = np.zeros((0, 3), dtype=np.int32)
    # Mirroring turns a surface inside out, so the other side's faces are these with the winding flipped.
    columns["faces"] = right if right is not None else none if left is None else left[:, ::-1]
    columns["faces_left"] = left if left is not None else columns["faces"][:, ::-1]
    return columns


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        with open(path, "rb") as file:
            if file.read(len(HEAD)) != HEAD:
                raise SourceError(f"Could not finish {path}: it holds no results of a run.", hint=_HINT)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield content
    except (OSError, ValueError) as error:
        raise SourceError(f"Could not read {path}: {error}.", hint=_HINT) from error


def _scan(content: mmap.mmap, path: Path) -> Spool:
    """Every whole record up to the first that is none."""
    spool = Spool(row_type(0))
    is_known = False
    place = len(_MAGIC)
    while place + 9 <= len(content):
        opcode, length = struct.unpack_from("<BQ", content, place)
        start, place = place + 9, place + 9 + length
        if place > len(content):
            break
        if opcode == Opcode.DATA_END:
            spool.is_whole = content[start - 9 :] == TAIL
            break
        try:
            if opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(content[start:place])))
                if channel.id == _ROWS and not is_known:
                    spool.row_type, is_known = row_type(_vertex_count(channel.metadata)), True
            elif opcode == Opcode.MESSAGE:
                _take(content, start, place, spool)
        except (McapError, ValueError, OverflowError, struct.error) as error:
            raise SourceError(f"Could not read {path}: it is damaged at byte {start} ({error}).", hint=_HINT) from error
    return spool


def _vertex_count(metadata: dict[str, str]) -> int:
    count = int(metadata.get("vertices", ""))
    if not 0 <= count <= _MOST_VERTICES:
        raise ValueError(f"{count} vertices")
    return count


def _take(content: mmap.mmap, start: int, end: int, spool: Spool) -> None:
    (channel,) = struct.unpack_from("<H", content, start)
    start += 22  # a message's own head
    if channel == _ROWS:
        size = spool.row_type.itemsize
        texts = json.loads(content[start + size : end])
        if not isinstance(texts, list) or len(texts) != 2 or not all(isinstance(text, str) for text in texts):
            raise ValueError("a row without its texts")
        spool.places.append(start)
        spool.images.append(texts[0])
        spool.reasons.append(texts[1])
    for side, number in _FACES.items():
        if channel == number:
            spool.faces[side] = np.frombuffer(content[start:end], "<i4").reshape(-1, 3)
