"""A calibration is in the sensor's pixels: a recording tells how its pictures were turned, mirrored and stretched."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import ImageTransform
from handdgp_core.sessions import DamagedFrame, SessionInfo, SessionReader, SessionWriter, codec, schema
from handdgp_core.sources import VideoSource, frames
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.session import SessionSource
from tests.handdgp_core.sessions.conftest import CAMERA, OPTIONS, make_frame
from tests.handdgp_core.sources.test_shown_images import MATRICES, with_matrix, write

LENS = np.array([0.1, 0, 0.01, 0.02, 0])
FILE = SessionInfo(source="clip.mp4")


def off_centre(fx=130.0):
    return Camera(160, 96, np.array([[fx, 0, 90], [0, 130.0, 40], [0, 0, 1]]), LENS)


def record(path, read, info=FILE, choose=lambda frame: None):
    with SessionWriter(path, info, OPTIONS) as writer:
        for frame in read:
            writer.add_frame(frame, choose(frame))
    return path


def replayed(path, repeats=False):
    with SessionSource(path, loop=repeats) as source:
        return [source.read() for _ in range(source.frame_count * (1 + repeats))]


@pytest.mark.parametrize("aspect", [None, Fraction(4, 3), Fraction(3, 4)])
@pytest.mark.parametrize("tag", MATRICES)
def test_a_calibration_fits_the_recording_as_it_fits_the_video(tmp_path, tag, aspect):
    video = tmp_path / "shown.mp4"
    video.write_bytes(with_matrix(write(video, aspect=aspect).read_bytes(), MATRICES[tag]))
    with VideoSource(video) as source:
        original = list(frames(source))
    calibration = off_centre(130 * (1 if aspect is None else 1 / float(aspect)))
    chooser = CameraChooser(calibration, overrides=True)
    expected = [chooser.camera_for(frame) for frame in original]
    assert (expected[0] == calibration) == (tag == 1 and aspect is None)

    again = replayed(record(tmp_path / "a.mcap", original, choose=CameraChooser().camera_for), repeats=True)

    assert [frame.transform for frame in again] == 2 * [frame.transform for frame in original]
    assert [chooser.camera_for(frame) for frame in again] == 2 * expected
    twice = replayed(record(tmp_path / "b.mcap", again[:5], choose=lambda frame: frame.camera))
    assert [chooser.camera_for(frame) for frame in twice] == expected


def test_pictures_turned_in_different_ways_keep_each_its_own(tmp_path):
    turns = [None, ImageTransform((96, 64), orientation=3), ImageTransform((48, 64), 2.0, 2)]
    read = [replace(make_frame(number), transform=turn) for number, turn in enumerate(turns)]
    assert [frame.transform for frame in replayed(record(tmp_path / "a.mcap", read))] == turns


@pytest.fixture
def older(monkeypatch):
    """Lets recordings be written as versions before this wrote them."""

    def without_picture(frame, camera, write=codec.frame_message):
        message = write(frame, camera)
        message.ClearField("picture")
        return message

    monkeypatch.setattr(codec, "frame_message", without_picture)
    monkeypatch.setattr(schema, "VERSION", 1)


@pytest.mark.parametrize("info", [FILE, SessionInfo(source="rtsp://door.lan/live", is_live=True)])
def test_older_recordings_of_files_and_streams_take_no_calibration(older, tmp_path, info):
    (frame,) = replayed(record(tmp_path / "old.mcap", [make_frame(0)], info, lambda frame: CAMERA))
    assert CameraChooser(None, overrides=True).camera_for(frame) == CAMERA
    with pytest.raises(CameraError, match=r"does not tell how its pictures were turned") as caught:
        CameraChooser(CAMERA, overrides=True).camera_for(frame)
    assert "the file that was recorded" in caught.value.hint
    (again,) = replayed(record(tmp_path / "copy.mcap", [frame], info, lambda frame: CAMERA))
    assert not again.transform.is_known


@pytest.mark.parametrize("info", [SessionInfo(source="Cam 0", is_live=True), SessionInfo("demo", is_rendered=True)])
def test_older_recordings_of_webcams_and_of_the_demo_do(older, tmp_path, info):
    (frame,) = replayed(record(tmp_path / "old.mcap", [make_frame(0)], info, lambda frame: CAMERA))
    other = replace(CAMERA, matrix=CAMERA.matrix * [[1.1], [1.1], [1]])
    assert CameraChooser(other, overrides=True).camera_for(frame) == other


@pytest.mark.parametrize(
    "turn",
    [ImageTransform((64, 96)), ImageTransform((96, 64), 9.0), ImageTransform((96, 64), orientation=9),
     ImageTransform((96, 64), float("nan")), ImageTransform((0, 0))],
)  # fmt: skip
def test_a_turn_that_cannot_be_damages_its_frame(tmp_path, turn):
    read = [make_frame(0), replace(make_frame(1), transform=turn)]
    with SessionReader(record(tmp_path / "a.mcap", read)) as session:
        session.frame(0)
        with pytest.raises(DamagedFrame):
            session.frame(1)
