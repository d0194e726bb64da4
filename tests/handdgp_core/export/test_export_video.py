from __future__ import annotations

import os
from collections import namedtuple

import cv2
import numpy as np
import pytest

from handdgp_core import files as folder
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.errors import OutputError, UsageError
from handdgp_core.export import video
from handdgp_core.export.video import OverlayVideo, letterbox, video_size
from handdgp_core.geometry.camera import Camera

Usage = namedtuple("Usage", "total used free")


def read_frames(path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, frame = capture.read()
        if not good:
            return frames
        frames.append(frame[..., ::-1])


def test_video_plays_and_shows_the_hand(tmp_path, make_frame, make_hand, camera):
    writer = OverlayVideo(tmp_path / "overlay.mp4", fps=25.0)
    for index in range(6):
        writer.add(make_frame(index), [make_hand()] if index >= 3 else [], camera)
        assert not (tmp_path / "overlay.mp4").exists()
    writer.close()
    writer.close()
    frames = read_frames(tmp_path / "overlay.mp4")
    assert [frame.shape for frame in frames] == [(240, 320, 3)] * 6
    assert cv2.VideoCapture(str(tmp_path / "overlay.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    without, with_hand = frames[1][120, 180].astype(int), frames[5][120, 180].astype(int)
    assert np.ptp(without) < 12  # grey
    assert with_hand[2] > with_hand[0] + 30  # blue: RGB and BGR are not mixed up
    assert writer.codec in video.CODECS
    assert writer.files == [tmp_path / "overlay.mp4"]
    assert os.listdir(tmp_path) == ["overlay.mp4"]


def test_every_frame_carries_its_number(tmp_path, make_frame, camera):
    writer = OverlayVideo(tmp_path / "overlay.mp4", fps=10.0)
    for index in (7, 123456):
        writer.add(make_frame(index), [], camera)
    writer.close()
    short, long = (frame[-18:].astype(int) for frame in read_frames(tmp_path / "overlay.mp4"))
    assert (short.max(axis=2) > 200).sum() > 20  # letters
    assert (long.max(axis=2) > 200).sum() > (short.max(axis=2) > 200).sum()


def test_frames_of_another_size_are_letterboxed(tmp_path, make_frame, camera):
    writer = OverlayVideo(tmp_path / "overlay.mp4", fps=10.0, style=OverlayStyle(labels=False))
    writer.add(make_frame(0), [], camera)
    writer.add(make_frame(1, width=100, height=240), [], Camera.assumed(100, 240))
    writer.close()
    first, second = read_frames(tmp_path / "overlay.mp4")
    assert first.shape == second.shape
    assert abs(int(second[100, 160, 0]) - 120) < 10
    assert second[100, :90].max() < 30
    assert second[100, -90:].max() < 30


@pytest.mark.parametrize(("width", "height"), [(1, 1), (33, 17), (3, 500), (7680, 4320)])
def test_odd_and_extreme_sizes(tmp_path, make_frame, width, height):
    writer = OverlayVideo(tmp_path / "overlay.mp4", fps=10.0)
    writer.add(make_frame(0, width, height), [], Camera.assumed(width, height))
    writer.close()
    (frame,) = read_frames(tmp_path / "overlay.mp4")
    assert frame.shape[:2] == video_size(width, height)[::-1]


def test_video_size_is_even_and_bounded():
    assert video_size(1281, 721) == (1282, 722)
    assert video_size(7680, 4320) == (3840, 2160)
    assert min(video_size(1, 9000)) >= 16


def test_letterbox_keeps_the_shape_of_things():
    square = np.full((10, 10, 3), 200, dtype=np.uint8)
    boxed = letterbox(square, 60, 20)
    ys, xs = np.nonzero(boxed[..., 0])
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (20, 39, 0, 19)


def test_no_frames_no_file(tmp_path):
    writer = OverlayVideo(tmp_path / "overlay.mp4", fps=10.0)
    writer.close()
    assert os.listdir(tmp_path) == []
    assert writer.files == []


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none(tmp_path, fps):
    with pytest.raises(UsageError, match="frame rate"):
        OverlayVideo(tmp_path / "overlay.mp4", fps)


def test_unknown_codec(tmp_path):
    with pytest.raises(UsageError, match="mp4v"):
        OverlayVideo(tmp_path / "overlay.mp4", 10.0, codec="divx")


def test_falls_back_to_the_next_codec(tmp_path, make_frame, camera, monkeypatch):
    monkeypatch.setattr(video, "CODECS", ("zzzz", "mp4v"))
    writer = OverlayVideo(tmp_path / "overlay.mp4", 10.0)
    writer.add(make_frame(), [], camera)
    writer.close()
    assert writer.codec == "mp4v"
    assert len(read_frames(tmp_path / "overlay.mp4")) == 1


def test_no_codec_at_all_is_said(tmp_path, make_frame, camera, monkeypatch):
    monkeypatch.setattr(video, "CODECS", ("zzzz",))
    writer = OverlayVideo(tmp_path / "overlay.mp4", 10.0)
    with pytest.raises(OutputError, match="none of the video codecs zzzz works"):
        writer.add(make_frame(), [], camera)
    writer.close()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_gone_is_not_blamed_on_the_codec(tmp_path, make_frame, camera):
    writer = OverlayVideo(tmp_path / "gone" / "overlay.mp4", 10.0)
    with pytest.raises(OutputError, match="No such file"):
        writer.add(make_frame(), [], camera)


def test_stops_before_the_disk_is_full_and_keeps_the_frames(tmp_path, make_frame, make_hand, camera, monkeypatch):
    writer = OverlayVideo(tmp_path / "overlay.mp4", 10.0)
    for index in range(4):
        writer.add(make_frame(index), [make_hand()], camera)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    with pytest.raises(OutputError, match="of free space"):
        writer.add(make_frame(4), [make_hand()], camera)
    writer.close()
    assert len(read_frames(tmp_path / "overlay.mp4")) == 4


def test_a_video_that_lost_frames_is_an_error(tmp_path, make_frame, camera):
    writer = OverlayVideo(tmp_path / "overlay.mp4", 10.0)
    writer.add(make_frame(0), [], camera)
    writer.add(make_frame(1), [], camera)
    writer.frame_count += 1  # as when the encoder drops one in silence
    with pytest.raises(OutputError, match="Only 2 of 3 frames"):
        writer.close()
    assert len(read_frames(tmp_path / "overlay.mp4")) == 2  # what can be played is kept


def test_a_video_that_cannot_be_read_does_not_get_the_name(tmp_path, make_frame, camera, monkeypatch):
    writer = OverlayVideo(tmp_path / "overlay.mp4", 10.0)
    writer.add(make_frame(0), [], camera)
    count = video._count_frames

    def count_of_cut_file(path):
        path.write_bytes(path.read_bytes()[:200])
        return count(path)

    monkeypatch.setattr(video, "_count_frames", count_of_cut_file)
    with pytest.raises(OutputError, match="Only 0 of"):
        writer.close()
    assert os.listdir(tmp_path) == []
