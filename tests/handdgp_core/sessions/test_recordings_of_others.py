"""MCAP files that other programs write open whole, or are refused for a true reason."""

from __future__ import annotations

import itertools
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import SessionReader, repair, schema
from handdgp_core.sessions.calibrations import same_camera
from handdgp_core.sessions.pairing import rising
from handdgp_core.sources.open import open_source
from handdgp_core.sources.session import SessionSource
from tests.handdgp_core.sessions.conftest import CAMERA, number_of
from tests.handdgp_core.sessions.foreign import CALIBRATION, PICTURES, STEP_NS, Topic, write_foreign
from tests.places import ROOT

CASES = ROOT.parent / "shared" / "cases"
SUMMARIES = {
    "all": {},
    "no statistics": {"use_statistics": False},
    "types not repeated": {"repeat_channels": False, "repeat_schemas": False},
    "no offsets": {"use_summary_offsets": False},
    "no checksums": {"enable_crcs": False},
    "data checksum": {"enable_data_crcs": True},
    "no summary": {
        "use_statistics": False, "repeat_channels": False, "repeat_schemas": False, "use_summary_offsets": False,
        "index_types": IndexType.NONE,
    },
}  # fmt: skip
INDEXES = {
    "all": IndexType.ALL,
    "chunks": IndexType.CHUNK,
    "messages": IndexType.MESSAGE,
    "none": IndexType.NONE,
}


def numbers(path: Path) -> list[int]:
    """The pictures of a file, each read and decoded."""
    with SessionSource(path) as source:
        seen = []
        while (frame := source.read()) is not None:
            seen.append(number_of(frame.image))
        assert not source.skipped
    return seen


def camera_of(path: Path) -> tuple[Camera | None, str]:
    """The camera that a file's pictures come with, and what the user is told."""
    with SessionReader(path) as read:
        return read.frame(2).camera, "; ".join(read.warnings)


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("summary", SUMMARIES)
def test_every_file_of_the_public_writer_opens_whole(
    tmp_path: Path, compression: CompressionType, summary: str
) -> None:
    for is_chunked, index, size in itertools.product((True, False), INDEXES.values(), (2000, 1 << 20)):
        options = {"compression": compression, "use_chunking": is_chunked, "index_types": index, "chunk_size": size}
        path = write_foreign(tmp_path / "other.mcap", **(options | SUMMARIES[summary]))
        told = (is_chunked, index, size)
        assert numbers(path) == list(range(6)), told
        camera, warnings = camera_of(path)
        assert camera is not None and np.array_equal(camera.matrix, CAMERA.matrix), told
        assert "damaged" not in warnings and "never finished" not in warnings, told
        report = repair(path)
        assert (report.frames, report.losses) == (6, []), told
        assert numbers(report.path) == list(range(6)), told
        with report.path.open("rb") as stream:
            assert len(list(make_reader(stream, validate_crcs=True).iter_messages())) == report.messages == 7
        report.path.unlink()


def test_records_that_are_longer_than_today_and_records_of_other_programs_are_passed_over(tmp_path: Path) -> None:
    whole = write_foreign(tmp_path / "plain.mcap", use_chunking=False, **SUMMARIES["no summary"]).read_bytes()
    padded, position = bytearray(whole[:8]), 8
    while position < len(whole) - 8:
        opcode, length = struct.unpack_from("<BQ", whole, position)
        body = whole[position + 9 : position + 9 + length]
        more = b"" if opcode in (Opcode.MESSAGE, Opcode.FOOTER) else b"\x01\x02\x03"
        padded += struct.pack("<BQ", opcode, length + len(more)) + body + more
        padded += struct.pack("<BQ", 0x91, 5) + b"hello" if opcode == Opcode.SCHEMA else b""
        position += 9 + length
    (tmp_path / "padded.mcap").write_bytes(padded + whole[-8:])
    assert numbers(tmp_path / "padded.mcap") == list(range(6))


def test_a_file_without_chunks_that_was_never_finished_keeps_its_messages(tmp_path: Path) -> None:
    data = write_foreign(tmp_path / "whole.mcap", use_chunking=False).read_bytes()
    part = tmp_path / "cut.mcap"
    pictures = [found.start() for found in re.finditer(b"\xff\xd8\xff", data)]
    part.write_bytes(data[: pictures[3] + 100])
    kept = numbers(part)
    assert kept == [0, 1, 2]
    report = repair(part)
    assert report.frames == len(kept) and numbers(report.path) == kept and part.exists()


def test_damage_in_a_file_without_chunks_costs_what_it_hit(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "hit.mcap", use_chunking=False)
    data = bytearray(path.read_bytes())
    second = [found.start() for found in re.finditer(b"\xff\xd8\xff", data)][1]
    head = data.rindex(b"\x05", 0, second - 40)
    data[head : head + 9] = bytes(9)
    path.write_bytes(data)
    kept = numbers(path)
    assert kept == [0, 2, 3, 4, 5]
    with SessionReader(path) as read:
        assert "damaged part" in "; ".join(read.warnings)


def test_frames_that_were_logged_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "same.mcap", step_ns=0)
    assert numbers(path) == list(range(6))
    with SessionReader(path) as read:
        stamps_ns = [read.frame(number).stamp_ns for number in range(6)]
        assert (np.diff(stamps_ns) > 0).all() and read.nominal_fps == pytest.approx(30, rel=0.01)
        assert "5 of 6 frames have the time of the one before" in "; ".join(read.warnings)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([5, 7, 9], [5, 7, 9]),
        ([0, 0, 10, 20], [0, 5, 10, 20]),
        ([0, 10, 10, 10, 20], [0, 10, 13, 16, 20]),
        ([0, 10, 20, 20], [0, 10, 20, 30]),
        ([1, 1, 1, 2], [1, 2, 3, 4]),
    ],
)
def test_equal_times_are_spread_until_the_next(times: list[int], expected: list[int]) -> None:
    assert rising(np.array(times, np.int64)).tolist() == expected


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
def test_the_public_cases() -> None:
    with SessionReader(CASES / "same_log_time.mcap") as read:
        assert read.frame_count == 6 and read.frame(5).camera is not None
    with SessionReader(CASES / "kannala_brandt.mcap") as read:
        camera = read.frame(0).camera
        assert read.frame_count == 6 and camera is not None and camera.lens == "fisheye"


@pytest.mark.parametrize("encoding", ["json", "cdr", "ros1"])
def test_messages_in_another_encoding_are_named(tmp_path: Path, encoding: str) -> None:
    path = write_foreign(tmp_path / "other.mcap", [Topic("/cam/image", encoding=encoding)])
    reason = rf"/cam/image holds foxglove\.CompressedImage, encoded as {encoding}; only .* protobuf"
    with pytest.raises(SourceError, match=reason):
        SessionReader(path)
    own = write_foreign(tmp_path / "own.mcap", [Topic(schema.IMAGE, encoding=encoding)])
    with pytest.raises(SourceError, match=f"encoded as {encoding}"):
        SessionReader(own)
    assert repair(path).frames == 6


def test_a_file_of_other_things_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "imu.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        writer.add_message(writer.register_channel("/imu", "", 0), 1, b"x", 1)
        writer.finish()
    with pytest.raises(SourceError, match="/imu holds messages without a type, encoded as nothing known"):
        SessionReader(path)
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        writer.add_attachment(1, 1, "a.txt", "text/plain", b"hello")
        writer.add_metadata("about", {"a": "b"})
        writer.finish()
    with pytest.raises(SourceError, match="there is no message in it"):
        SessionReader(path)
    with pytest.raises(SourceError, match="it holds no message") as told:
        repair(path)
    assert "Delete" not in str(told.value)


LEFT, RIGHT = Topic("/left/image_raw", frame_id="left"), Topic("/right/image_raw", frame_id="right", first=100)


def test_one_of_several_cameras_is_chosen_by_its_name_or_refused(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "two.mcap", [LEFT, RIGHT, Topic("/right/camera_info", schema.CALIBRATION, "right")])
    with pytest.raises(SourceError, match="images of 2 topics, /left/image_raw, /right/image_raw"):
        SessionReader(path)
    with SessionReader(path, "/right/image_raw") as read:
        assert number_of(read.frame(1).image) == 101 and read.frame(1).camera is not None
    with SessionReader(path, "/left/image_raw") as read:
        assert number_of(read.frame(1).image) == 1 and read.frame(1).camera is None
        assert "no calibration is used" in "; ".join(read.warnings)
    with pytest.raises(SourceError, match="no images under the topic /middle"):
        SessionReader(path, "/middle")
    named = write_foreign(tmp_path / "named.mcap", [RIGHT, PICTURES])
    assert numbers(named) == list(range(6)) and "/right/image_raw" in camera_of(named)[1]


@pytest.mark.parametrize(
    ("image", "calibration", "is_same"),
    [
        (("/camera/image", "cam"), ("/camera/calibration", "cam"), True),
        (("/left/image_raw/compressed", ""), ("/left/camera_info", "left"), True),
        (("/image_raw", ""), ("/camera_info", ""), True),
        (("/front/jpeg", "cam"), ("/camera/calibration", "cam"), False),
        (("/left/image", "cam"), ("/right/calibration", "cam"), False),
        (("/left_image", ""), ("/right_calibration", ""), False),
        (("/rig/image_left", "rig"), ("/rig/calibration_left", "rig"), True),
        (("/camera/image", "left"), ("/camera/calibration", "right"), False),
    ],
)
def test_a_calibration_belongs_to_the_pictures_beside_it(
    tmp_path: Path, image: tuple[str, str], calibration: tuple[str, str], is_same: bool
) -> None:
    assert same_camera(*image, *calibration) == is_same
    topics = [Topic(image[0], frame_id=image[1]), Topic(calibration[0], schema.CALIBRATION, calibration[1])]
    camera, warnings = camera_of(write_foreign(tmp_path / "one.mcap", topics))
    assert (camera is not None) == is_same and ("no calibration is used" in warnings) != is_same


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"distortion_model": "kannala_brandt", "D": [0.1, 0.02, -0.03, 0.01, 0.2]}, "kannala_brandt"),
        ({"distortion_model": "omnidirectional", "D": [0.0, 0.0, 0.0, 0.0]}, "omnidirectional"),
        ({"distortion_model": "", "D": [0.1, 0.02, -0.03, 0.01]}, "without a name"),
        ({"distortion_model": "rational_polynomial", "D": [0.1, 0.0, 0.0, 0.0, 0.0]}, "not 5"),
        ({"distortion_model": "plumb_bob", "D": [0.1] * 8}, "not 8"),
        ({"K": [0.0] * 9}, "never calibrated"),
        ({"K": [float("nan")] * 9}, "not used"),
        ({"width": 0}, "not used"),
    ],
)
def test_a_calibration_that_is_not_understood_is_not_used_and_that_is_said(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    topics = [PICTURES, Topic("/camera/calibration", schema.CALIBRATION, changes=changes)]
    camera, warnings = camera_of(write_foreign(tmp_path / "one.mcap", topics))
    assert camera is None and "the calibration is not used" in warnings and reason in warnings


def test_lens_models_that_are_known_are_used(tmp_path: Path) -> None:
    fisheye = [0.1, 0.02, -0.03, 0.01]
    for model, numbers_of_it in (
        ("plumb_bob", [0.1, 0.2, 0.0, 0.0]),
        ("rational_polynomial", [0.1] * 8),
        ("", []),
        ("kannala_brandt", fisheye),
        ("equidistant", fisheye),
    ):
        changes = {"distortion_model": model, "D": numbers_of_it}
        topics = [PICTURES, Topic("/camera/calibration", schema.CALIBRATION, changes=changes)]
        camera, _ = camera_of(write_foreign(tmp_path / "one.mcap", topics))
        assert camera is not None and camera.distortion.tolist() == numbers_of_it
        assert camera.lens == ("fisheye" if numbers_of_it == fisheye else "opencv")


def test_two_calibrations_beside_the_pictures_are_one_too_many(tmp_path: Path) -> None:
    topics = [PICTURES, CALIBRATION, Topic("/camera/camera_info", schema.CALIBRATION)]
    camera, warnings = camera_of(write_foreign(tmp_path / "one.mcap", topics))
    assert camera is None and "/camera/calibration, /camera/camera_info" in warnings
    rectified = [Topic("/camera/image_rect"), CALIBRATION]
    assert camera_of(write_foreign(tmp_path / "rect.mcap", rectified))[0] is None


def write_bag1(path: Path) -> Path:
    """Three compressed images in a bag of ROS 1."""
    from rosbags.rosbag1 import Writer as BagWriter
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    image_type = store.types["sensor_msgs/msg/CompressedImage"]
    header = store.types["std_msgs/msg/Header"](1, store.types["builtin_interfaces/msg/Time"](1, 2), "cam")
    image = image_type(header=header, format="jpeg", data=np.zeros(10, np.uint8))
    with BagWriter(path) as writer:
        connection = writer.add_connection("/cam/compressed", image_type.__msgtype__, typestore=store)
        for index in range(3):
            writer.write(connection, 10 + index * STEP_NS, store.serialize_ros1(image, image_type.__msgtype__))
    return path


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize(
    ("storage", "packed"),
    [("mcap", ""), ("mcap", "message"), ("mcap", "file"), ("mcap", "storage"),
     ("sqlite3", ""), ("sqlite3", "message"), ("sqlite3", "file")],
)  # fmt: skip
def test_what_a_converter_of_ros_bags_writes_is_refused_for_its_true_reason(
    tmp_path: Path, storage: str, version: int, packed: str
) -> None:
    pytest.importorskip("rosbags", reason="needs the rosbags package")
    from rosbags.convert import convert
    from rosbags.typesys import Stores, get_typestore

    bag, store = write_bag1(tmp_path / "old.bag"), get_typestore(Stores.ROS2_HUMBLE)
    with pytest.raises(SourceError, match=r"old\.bag: a bag of ROS 1 is not read here"):
        open_source(str(bag))
    convert([bag], tmp_path / "new", storage, version, "zstd" if packed else None, packed, None, store, (), (), (), ())
    (path,) = (entry for entry in (tmp_path / "new").iterdir() if entry.suffix != ".yaml")
    reason = {"mcap": "/cam/compressed holds sensor_msgs/msg/CompressedImage, encoded as cdr", "sqlite3": "a database"}
    with pytest.raises(SourceError, match="packed with zstd" if packed == "file" else reason[storage]):
        open_source(str(path))
    if storage == "mcap" and packed != "file":
        assert repair(path).messages == 3


def test_a_topic_is_named_behind_the_file(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "two.mcap", [LEFT, RIGHT])
    with pytest.raises(SourceError) as told:
        open_source(str(path))
    assert told.value.hint is not None and "two.mcap#/left/image_raw" in told.value.hint
    with open_source(f"{path}#/right/image_raw") as source:
        frame = source.read()
        assert frame is not None and number_of(frame.image) == 100
    with pytest.raises(SourceError, match="no images under the topic /middle"):
        open_source(f"{path}#/middle")
    path.rename(tmp_path / "odd.mcap#1.mcap")
    with pytest.raises(SourceError, match="images of 2 topics"):  # the name of the file itself
        open_source(str(tmp_path / "odd.mcap#1.mcap"))
