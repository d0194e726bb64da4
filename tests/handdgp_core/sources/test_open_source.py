import os
import threading

import cv2
import numpy as np
import pytest

from handdgp_core.errors import AssetError, SourceError, UsageError
from handdgp_core.sources import (
    ImageFolderSource,
    NoFrameYet,
    PacedSource,
    ReconnectingSource,
    Source,
    VideoSource,
    WebcamSettings,
    WebcamSource,
    frames,
    open_source,
)
from handdgp_core.sources.capture import to_rgb
from handdgp_core.sources.protocol import BaseSource
from handdgp_core.types import Frame


def test_number_opens_a_webcam_that_reconnects(scripted_camera):
    with open_source("0", capture_factory=scripted_camera, webcam=WebcamSettings((64, 48))) as source:
        assert isinstance(source, ReconnectingSource) and isinstance(source, Source)
        assert source.read(10.0).image.shape == (48, 64, 3)
    with open_source("/dev/video3", capture_factory=scripted_camera, reconnect=False) as source:
        assert isinstance(source, WebcamSource) and isinstance(source, Source)
    assert [target for target, _ in scripted_camera.openings] == [0, 3]


def test_files_and_folders(make_video, tmp_path):
    make_video(tmp_path / "clip.mp4", 5)
    cv2.imwrite(str(tmp_path / "hand.png"), np.zeros((4, 4, 3), np.uint8))
    with open_source(str(tmp_path / "clip.mp4")) as video, open_source(str(tmp_path)) as folder:
        assert isinstance(video, VideoSource) and isinstance(folder, ImageFolderSource)
        assert isinstance(video, Source) and isinstance(folder, Source)
        assert isinstance(PacedSource(video), Source)
        assert folder.skipped == [("clip.mp4", "not an image")]
    with open_source((tmp_path / "clip.mp4").as_uri()) as source:
        assert source.frame_count == 5
    with open_source(str(tmp_path / "hand.png")) as source:
        assert source.frame_count == 1
    with open_source(str(tmp_path / "clip.mp4"), loop=True) as source:
        assert [source.read().index for _ in range(7)] == [0, 1, 2, 3, 4, 0, 1]


def test_unknown_name_suggests_close_ones(tmp_path):
    (tmp_path / "recording_1.mp4").touch()
    with pytest.raises(SourceError, match=r"Did you mean recording_1\.mp4\?"):
        open_source(str(tmp_path / "recoding_1.mp4"))
    with pytest.raises(SourceError, match="holds nothing like it") as caught:
        open_source(str(tmp_path / "xyz"))
    assert "demo" in caught.value.hint and "/dev/video0" in caught.value.hint
    with pytest.raises(SourceError, match="there is no folder"):
        open_source(str(tmp_path / "none" / "xyz.mp4"))


@pytest.mark.parametrize("spec", ["", "  ", "ftp://host/clip.mp4", "rtsp://host:port/"])
def test_senseless_specs(spec):
    with pytest.raises(UsageError):
        open_source(spec)


def test_missing_demo(tmp_path):
    with pytest.raises(AssetError):
        open_source("demo", demo_folder=tmp_path)


def test_frames_waits_through_silence_and_stops(scripted_camera):
    class Hesitant(BaseSource):
        size = (1, 1)
        answers = (NoFrameYet("soon"), 0, NoFrameYet("again"), 1, 2, None)

        def __init__(self):
            super().__init__()
            self.script = iter(self.answers)

        def read(self, timeout_s=0.5):
            answer = next(self.script)
            if isinstance(answer, Exception):
                raise answer
            return None if answer is None else Frame(np.zeros((1, 1, 3), np.uint8), answer, answer)

        def close(self):
            pass

    waits = []
    assert [frame.index for frame in frames(Hesitant(), on_wait=waits.append)] == [0, 1, 2]
    assert waits == ["soon", "again"]
    stop, seen = threading.Event(), []
    for frame in frames(Hesitant(), stop):
        seen.append(frame.index)
        stop.set()
    assert seen == [0]


def test_live_sources_cannot_be_wound(scripted_camera):
    with open_source("0", capture_factory=scripted_camera) as source, pytest.raises(SourceError, match="live"):
        source.seek(3)


def test_pixels_become_rgb():
    bgra = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(to_rgb(bgra), bgra[..., 2::-1])
    np.testing.assert_array_equal(to_rgb(bgra[..., :1]), np.repeat(bgra[..., :1], 3, -1))
    np.testing.assert_array_equal(to_rgb(bgra[..., :3].astype(np.uint16) * 256 + 99), bgra[..., 2::-1])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("~nobody-of-this-name/clip.mp4", "there is no such user"),
        ("x" * 300, "File name too long"),
        ("/dev/zero", "it is a device, not a file"),
        ("clip\0.mp4", "null"),
    ],
)
def test_what_cannot_be_opened_is_refused_at_once(spec, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(spec)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(SourceError, match="it is a pipe"):
        open_source(str(tmp_path / "clip.mp4"))


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"2026-11-27T10:15:00.mp4", b"file,with|signs?.mp4"])
def test_videos_open_whatever_their_names(make_video, tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    os.rename(make_video(tmp_path / "a.mp4", 3), path)
    with open_source(os.fsdecode(path)) as source:
        assert len(list(frames(source))) == 3
        source.name.encode()


@pytest.mark.parametrize("suffix", [".jpg", ".heic", ".mp4", ""])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(200), "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(200), "raw photograph"),
        (b"\xff\x0a" + bytes(200), "JPEG XL"),
        (b"%PDF-1.7\n" + bytes(range(256)), "not a recognised"),
        (b"PK\x03\x04" + bytes(range(256)), "not a recognised"),
        (b"notes on hands\n", "it is a text file, neither"),
    ],
    ids=["heic", "avif", "cr3", "jxl", "pdf", "zip", "text"],
)
def test_what_is_neither_image_nor_video_is_refused_by_content(tmp_path, suffix, content, expected):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=expected):
        open_source(str(path))


def test_images_videos_and_sessions_are_opened_by_content(make_video, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    make_video(tmp_path / "b.mp4", 3).rename(tmp_path / "b.jpg")
    with open_source(str(tmp_path / "a.mp4")) as image, open_source(str(tmp_path / "b.jpg")) as video:
        assert isinstance(image, ImageFolderSource) and isinstance(video, VideoSource)
