"""What goes into a session comes out bit for bit, and others can read it, too."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from handdgp_core.errors import OutputError, SourceError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import (
    RecordedHands,
    SessionInfo,
    SessionReader,
    SessionWriter,
    WriterOptions,
    new_session_path,
    part_path,
    schema,
)
from handdgp_core.sessions.stored_images import decode_lossless, encode_lossless
from handdgp_core.types import Frame, Hand
from tests.handdgp_core.sessions.conftest import (
    CAMERA,
    OPTIONS,
    PERIOD_NS,
    hands_of,
    make_frame,
    make_hand,
    number_of,
    write_session,
)


def assert_same_hand(read: Hand, written: Hand) -> None:
    for entry in fields(Hand):
        before, after = getattr(written, entry.name), getattr(read, entry.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before, strict=True, err_msg=entry.name)
        else:
            assert after == before or (after != after and before != before), entry.name


def test_every_hand_comes_back_bit_for_bit(session: Path) -> None:
    with SessionReader(session) as read:
        assert read.frame_count == 30 and read.result_count == 26
        for number in range(30):
            recorded = read.hands(number)
            if number % 7 == 6:
                assert recorded is None  # never asked, which is not the same as no hand
                continue
            assert recorded is not None
            assert (recorded.model, recorded.inference_ms, recorded.hand_length_m) == ("test", 5.0, 0.18)
            assert recorded.muted == {3} and recorded.camera == CAMERA
            for after, before in zip(recorded.hands, hands_of(number), strict=True):
                assert_same_hand(after, before)


def test_frames_come_back_with_number_time_and_camera(session: Path) -> None:
    with SessionReader(session) as read:
        for number in (0, 29, 13, 14, 3):
            frame = read.frame(number)
            assert number_of(frame.image) == number == frame.index
            assert frame.stamp_ns == number * PERIOD_NS
            assert frame.camera == CAMERA
            assert read.facts_of(number).stamp_ns == make_frame(number).stamp_ns
        assert read.nominal_fps == pytest.approx(1e9 / PERIOD_NS)
        assert number_of(np.repeat(np.repeat(read.thumbnail(21, 24), 4, axis=0), 4, axis=1)) == 21


def test_facts_settings_and_camera_file(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    info = SessionInfo(
        source="webcam", model="open", model_sha256="ab", hand_length_mm=181.5, settings={"steadiness": 50}
    )
    with SessionWriter(path, info, OPTIONS) as writer:
        for index in range(3):
            writer.add_frame(make_frame(index), CAMERA)
            writer.add_settings({"steadiness": 50 + 10 * index})
        turned = replace(CAMERA, name="other", source="assumed")
        writer.add_frame(make_frame(3), turned)
    with SessionReader(path) as read:
        assert read.facts["model"] == "open" and read.facts["camera_source"] == "calibrated"
        assert read.hand_length_m == pytest.approx(0.1815)
        assert json.loads(read.facts["settings"]) == {"steadiness": 50}
        assert [read.settings_at(number)["steadiness"] for number in (0, 3)] == [50, 70]
        (tmp_path / "back.yaml").write_bytes(read.attachments["camera.yaml"])
        assert Camera.load(tmp_path / "back.yaml") == CAMERA
        assert yaml.safe_load(read.attachments["camera-2.yaml"])["camera_name"] == "other"
        assert read.facts_of(3).camera == turned
        assert read.closing["frames"] == "4"


def test_an_independent_reader_decodes_every_topic(session: Path) -> None:
    with open(session, "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        assert summary is not None
        assert {channel.topic for channel in summary.channels.values()} >= set(schema.TYPES)
        decoded = {}
        for kind, channel, message, content in reader.iter_decoded_messages(topics=list(schema.TYPES)):
            decoded.setdefault(channel.topic, []).append((kind.name, message, content))
    assert {topic for topic in schema.TYPES if topic != schema.LOSSLESS} == set(decoded)
    kind, message, image = decoded[schema.IMAGE][4]
    assert (kind, image.format, image.frame_id) == ("foxglove.CompressedImage", "jpeg", "camera")
    assert image.timestamp.seconds * 10**9 + image.timestamp.nanos == message.log_time
    kind, _, calibration = decoded[schema.CALIBRATION][0]
    assert kind == "foxglove.CameraCalibration" and calibration.distortion_model == "plumb_bob"
    np.testing.assert_array_equal(np.array(calibration.K).reshape(3, 3), CAMERA.matrix)
    assert len(calibration.P) == 12 and len(calibration.R) == 9 and list(calibration.D) == CAMERA.distortion.tolist()
    _check_points(decoded[schema.POINTS][1][2], hands_of(1))
    _check_keypoints(decoded[schema.KEYPOINTS][1][2], hands_of(1)[0])
    _, _, transform = decoded[schema.TRANSFORM][0]
    turn = transform.rotation
    # Turning the camera's z (forward) by this quaternion gives the world's y.
    assert (2 * (turn.y * turn.z - turn.x * turn.w), 1 - 2 * (turn.x**2 + turn.y**2)) == pytest.approx((1, 0), abs=1e-9)


def _check_points(cloud: object, hands: list[Hand]) -> None:
    offsets = {entry.name: entry.offset for entry in cloud.fields}
    table = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_stride)
    xyz = np.stack([table[:, offsets[a] : offsets[a] + 4].copy().view("<f4")[:, 0] for a in "xyz"], axis=1)
    np.testing.assert_allclose(xyz, np.concatenate([hand.vertices_m for hand in hands]), atol=1e-6)


def _check_keypoints(marks: object, hand: Hand) -> None:
    dots = marks.points[0].points
    np.testing.assert_allclose([[dot.x, dot.y] for dot in dots], hand.keypoints_px)


def test_lossless_pictures_keep_every_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = [Frame(rng.integers(0, 256, (17, 31, 3), dtype=np.uint8), 5 * index, index) for index in range(4)]
    camera = Camera.assumed(31, 17)
    with SessionWriter(tmp_path / "burst.mcap", SessionInfo(), replace(OPTIONS, lossless=True)) as writer:
        for frame in frames:
            writer.add_frame(frame, camera)
    with SessionReader(tmp_path / "burst.mcap") as read:
        assert read.facts["lossless"] == "true"
        for frame in frames:
            np.testing.assert_array_equal(read.frame(frame.index).image, frame.image)


def test_lossless_code_refuses_damage() -> None:
    image = make_frame(5).image
    data = encode_lossless(image)
    np.testing.assert_array_equal(decode_lossless(data, image.shape[1], image.shape[0]), image)
    for broken, width in ((data[:-3], image.shape[1]), (data, image.shape[1] + 1), (b"", 1), (data, 1 << 30)):
        with pytest.raises(ValueError):
            decode_lossless(broken, width, image.shape[0])


def test_quality_trades_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [Frame(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8), index, index) for index in range(5)]
    low = write_session(tmp_path / "low.mcap", options=replace(OPTIONS, jpeg_quality=30), frames=noise)
    high = write_session(tmp_path / "high.mcap", options=replace(OPTIONS, jpeg_quality=95), frames=noise)
    assert low.stat().st_size < 0.7 * high.stat().st_size
    with pytest.raises(UsageError, match="20 to 100"):
        WriterOptions(jpeg_quality=5)


def test_times_rise_although_a_player_was_wound_back(tmp_path: Path) -> None:
    frames = [make_frame(index) for index in (0, 1, 2, 0, 1)]
    path = write_session(tmp_path / "wound.mcap", frames=frames)
    with SessionReader(path) as read:
        assert (np.diff(read.times_ns) > 0).all() and read.frame_count == 5
        assert [number_of(read.frame(number).image) for number in range(5)] == [0, 1, 2, 0, 1]


def test_a_result_without_its_frame_is_not_written(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "take.mcap", SessionInfo(), OPTIONS) as writer:
        assert not writer.add_hands(make_frame(8), RecordedHands([make_hand(1)], CAMERA))
        writer.add_frame(make_frame(8), CAMERA)
        assert writer.add_hands(make_frame(8), RecordedHands([make_hand(1)], CAMERA))


def test_names_and_files_that_are_in_the_way(tmp_path: Path) -> None:
    first = new_session_path(tmp_path, "/dev/video0 (HD cam)")
    part_path(first).touch()
    second = new_session_path(tmp_path, "/dev/video0 (HD cam)")
    assert first != second and first.suffix == ".mcap"
    with pytest.raises(OutputError, match="there already"):
        SessionWriter(first, SessionInfo(), OPTIONS)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        SessionWriter(tmp_path / "file" / "take.mcap", SessionInfo(), OPTIONS)


def test_reserve_is_given_back_and_the_part_renamed(session: Path) -> None:
    assert [path.name for path in session.parent.iterdir()] == ["take.mcap"]


def test_a_newer_format_and_other_files_are_refused(tmp_path: Path, session: Path, monkeypatch) -> None:
    monkeypatch.setattr(schema, "VERSION", 0)
    with pytest.raises(SourceError, match="newer version"):
        SessionReader(session)
    (tmp_path / "text.mcap").write_text("no recording at all")
    with pytest.raises(SourceError, match=r"No images can be read from text\.mcap"):
        SessionReader(tmp_path / "text.mcap")
    with pytest.raises(SourceError, match=r"Could not open the recording .*missing\.mcap: No such file"):
        SessionReader(tmp_path / "missing.mcap")


def test_a_recording_of_another_program_plays(tmp_path: Path, session: Path) -> None:
    """Only Foxglove's own types, under other names, zstd-compressed: pictures and calibration are found."""
    from mcap.writer import CompressionType, Writer

    other = tmp_path / "other.mcap"
    with open(session, "rb") as source, open(other, "wb") as target:
        writer = Writer(target, compression=CompressionType.ZSTD, chunk_size=4096)
        writer.start()
        numbers = {}
        for kind, channel, message in make_reader(source).iter_messages([schema.IMAGE, schema.CALIBRATION]):
            if channel.id not in numbers:
                made = writer.register_schema(kind.name, kind.encoding, kind.data)
                topic = "/front/jpeg" if channel.topic == schema.IMAGE else "/front/calibration"
                numbers[channel.id] = writer.register_channel(topic, "protobuf", made)
            writer.add_message(numbers[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()
    with SessionReader(other) as read:
        assert read.frame_count == 30 and number_of(read.frame(17).image) == 17
        assert "/front/jpeg" in read.warnings[0]
        camera = read.frame(17).camera
        assert camera is not None and np.array_equal(camera.matrix, CAMERA.matrix)
        assert read.hands(17) is None


def test_the_unfinished_file_is_readable_as_it_grows(tmp_path: Path) -> None:
    part = write_session(tmp_path / "take.mcap", count=20, finish=False)
    with SessionReader(part) as read:
        assert read.frame_count == 20 and not read.finished and read.warnings
    with open(part, "rb") as file, pytest.raises((McapError, ValueError)):
        list(make_reader(file).iter_messages())  # which is why there is a repair


@pytest.mark.parametrize("late", [1, 30, 200])
def test_results_that_come_some_frames_after_their_frame_are_in_the_file(tmp_path: Path, late: int) -> None:
    frames = [make_frame(index, size=(16, 16)) for index in range(late + 4)]
    with SessionWriter(tmp_path / "late.mcap", SessionInfo(), OPTIONS) as writer:
        for number, frame in enumerate(frames):
            writer.add_frame(frame, None)
            if number >= late:
                recorded = RecordedHands([make_hand(number - late)], CAMERA, "test", 5.0)
                assert writer.add_hands(frames[number - late], recorded)
    with SessionReader(tmp_path / "late.mcap") as read:
        assert read.result_count == 4
        for number in range(4):
            found = read.hands(number)
            assert found is not None
            assert_same_hand(found.hands[0], make_hand(number))
        assert read.hands(4) is None


def log_times_ns(path: Path, topic: str) -> list[int]:
    """When the messages of a topic were logged, as any MCAP reader sees it."""
    with path.open("rb") as stream:
        return [message.log_time for _, _, message in make_reader(stream).iter_messages(topics=[topic])]


def test_the_calibration_is_repeated_each_second_and_not_with_each_frame(tmp_path: Path) -> None:
    path = write_session(tmp_path / "take.mcap", count=95)  # 3.1 s
    times_ns = np.array(log_times_ns(path, schema.CALIBRATION))
    assert len(times_ns) == 4
    assert (np.diff(times_ns) >= 1e9).all() and (np.diff(times_ns) < 1e9 + PERIOD_NS).all()


def test_after_a_source_was_wound_back_log_times_go_on_at_its_pace(tmp_path: Path) -> None:
    played = [make_frame(index) for index in (*range(6), *range(2, 8))]
    path = write_session(tmp_path / "take.mcap", frames=played)
    steps_ns = np.diff(log_times_ns(path, schema.FRAME))
    assert len(steps_ns) == 11 and steps_ns[5] > 0
    assert (np.delete(steps_ns, 5) == PERIOD_NS).all()


def test_an_error_while_a_session_is_written_leaves_a_finished_file(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    with pytest.raises(ZeroDivisionError), SessionWriter(path, SessionInfo(), OPTIONS) as writer:
        writer.add_frame(make_frame(0), CAMERA)
        raise ZeroDivisionError
    with SessionReader(path) as read:
        assert read.finished and read.frame_count == 1
