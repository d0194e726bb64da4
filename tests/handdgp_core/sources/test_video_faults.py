"""Broken files: what is said, and what is still read."""

import cv2
import numpy as np
import pytest

from handdgp_core.errors import SourceError
from handdgp_core.sources import VideoSource, frames
from handdgp_core.sources.file_kinds import looks_like_text
from handdgp_core.sources.video_faults import mp4_box, video_codec


@pytest.fixture(scope="module")
def mp4(make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("mp4") / "clip.mp4", 60)


@pytest.fixture(scope="module")
def avi(make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("avi") / "clip.avi", 60, "MJPG")


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(SourceError, match=match) as caught:
        VideoSource(path)
    assert caught.value.hint
    assert path.name in caught.value.problem
    return caught.value


def with_index_first(content):
    """The same MP4 with its index before the pictures, as made for streaming."""
    boxes, start = {}, 0
    while start < len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        boxes[content[start + 4 : start + 8]] = content[start : start + length]
        start += length
    moov = bytearray(boxes[b"moov"])
    place = moov.find(b"stco") + 8
    for entry in range(int.from_bytes(moov[place : place + 4], "big")):
        at = place + 4 + 4 * entry
        moved = int.from_bytes(moov[at : at + 4], "big") + len(moov)
        moov[at : at + 4] = moved.to_bytes(4, "big")
    rest = b"".join(box for kind, box in boxes.items() if kind not in (b"ftyp", b"moov"))
    return boxes[b"ftyp"] + bytes(moov) + rest


def test_empty_file(tmp_path):
    refused(tmp_path / "a.mp4", b"", r"^Could not open a\.mp4: the file is empty\. Copy")


def test_cut_mp4_without_its_index(tmp_path, mp4):
    content = mp4.read_bytes()
    refused(tmp_path / "a.mp4", content[: len(content) // 2], "incomplete.*moov.*missing")


def test_text_with_the_name_of_a_video(tmp_path):
    refused(
        tmp_path / "a.mp4", "nichts als Text, äöü\n".encode() * 300, "it is a text file, neither a video nor a picture"
    )


def test_random_bytes(tmp_path):
    refused(tmp_path / "a.mp4", np.random.default_rng(0).bytes(20_000), "not a recognised video or image format")


def test_unknown_codec_is_named(tmp_path, avi):
    refused(tmp_path / "a.avi", avi.read_bytes().replace(b"MJPG", b"QQQQ"), "codec 'QQQQ'")


def test_unknown_mp4_codec_is_named(tmp_path, mp4):
    content = mp4.read_bytes()
    place = content.find(b"stsd")
    content = content[: place + 16] + b"qqqq" + content[place + 20 :].replace(b"esds", b"free")
    refused(tmp_path / "a.mp4", content, "codec 'qqqq'")


def test_damaged_webm_names_its_container(tmp_path):
    refused(tmp_path / "a.webm", b"\x1aE\xdf\xa3" + bytes(5000), "Matroska or WebM")


def test_pictures_of_zeros_after_a_good_index(tmp_path, mp4):
    content = bytearray(with_index_first(mp4.read_bytes()))
    start = content.find(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    refused(tmp_path / "a.mp4", bytes(content), "no frame that can|codec")


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        VideoSource(tmp_path / "none.mp4")


@pytest.mark.parametrize("kind", ["avi", "mp4"])
def test_cut_video_is_read_to_its_last_good_frame_and_says_so(tmp_path, avi, mp4, kind, decode_number):
    content = avi.read_bytes() if kind == "avi" else with_index_first(mp4.read_bytes())
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(content[: len(content) // 2])
    with VideoSource(path) as source:
        assert source.frame_count == 60 and source.warning is None
        numbers = [decode_number(frame.image) for frame in frames(source)]
        assert 10 < len(numbers) < 50
        assert numbers[:-1] == list(range(len(numbers) - 1))  # the last one may be half a picture
        assert f"{len(numbers)} of 60 frames" in source.warning
        assert source.frame_count == len(numbers)
        source.seek(5)
        assert decode_number(source.read().image) == 5


def test_seek_behind_the_cut_ends(tmp_path, avi):
    content = avi.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    with VideoSource(tmp_path / "cut.avi") as source:
        source.seek(55)
        assert source.read() is None
        assert "ends early" in source.warning


def test_whole_video_has_no_warning(tmp_path, mp4):
    (tmp_path / "whole.mp4").write_bytes(with_index_first(mp4.read_bytes()))
    with VideoSource(tmp_path / "whole.mp4") as source:
        assert len(list(frames(source))) == 60
        assert source.warning is None


def test_codec_and_boxes_of_good_files(mp4, avi):
    assert video_codec(mp4) == "mp4v" and video_codec(avi) == "MJPG"
    assert mp4_box(mp4, b"moov") and mp4_box(mp4, b"nope") is None


def test_text_is_told_from_pictures():
    assert looks_like_text(b"hello\n") and looks_like_text("ü".encode() * 50 + b"\xc3")
    assert not looks_like_text(b"") and not looks_like_text(b"\0\1\2")
    assert not looks_like_text(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
