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
