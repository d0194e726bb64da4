"""Videos that are to be shown otherwise than they are stored: the picture upright, and what was done on the frame."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from handdgp_core.errors import CameraError, SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import oriented, oriented_camera
from handdgp_core.sources import VideoSource, frames
from handdgp_core.sources.cameras import CameraChooser
from tests.handdgp_core.sources.conftest import HEIGHT, WIDTH

# Of EXIF's orientations: a b c d of the display matrix.
MATRICES = {
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
OFF_CENTRE = Camera(WIDTH, HEIGHT, np.array([[130.0, 0, 90], [0, 130, 40], [0, 0, 1]]), np.array([0.1, 0, 0.01, 0.02]))


def quadrants(number):
    """A picture whose four corners differ, so that each of the eight orientations shows."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for place, value in enumerate((40, 100, 170, 240)):
        rows, columns = divmod(place, 2)
        image[rows * HEIGHT // 2 :, columns * WIDTH // 2 :] = value
    return image


def corners(image):
    height, width = image.shape[:2]
    return np.array([[image[y, x, 0] for x in (width // 4, 3 * width // 4)] for y in (height // 4, 3 * height // 4)])


def with_matrix(content, matrix):
    """The MP4 with another display matrix in its track header."""
    place = content.find(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (round(value * 0x10000) for value in matrix)
    changed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return content[:place] + changed + content[place + 36 :]


def write(path, size=(WIDTH, HEIGHT), count=5, aspect=None, codec="libx264", turn=None):
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn is not None:
            stream.set_display_rotation(turn)
        for number in range(count):
            image = np.full((height, width, 3), 60 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def upright(make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("shown") / "upright.mp4", 5, draw_frame=quadrants).read_bytes()


@pytest.mark.parametrize("scale", [1, 0.5])
@pytest.mark.parametrize("tag", MATRICES)
def test_a_display_matrix_turns_picture_and_camera(upright, tmp_path, tag, scale):
    path = tmp_path / "turned.mp4"
    path.write_bytes(with_matrix(upright, [scale * value for value in MATRICES[tag]]))
    with VideoSource(path) as source:
        frame = source.read()
        assert source.size == frame.image.shape[1::-1] == ((WIDTH, HEIGHT) if tag < 5 else (HEIGHT, WIDTH))
    expected = oriented(np.array([[40, 100], [170, 240]], np.uint8), tag)
    np.testing.assert_allclose(corners(frame.image), expected, atol=6)
    assert CameraChooser(OFF_CENTRE).camera_for(frame) == oriented_camera(OFF_CENTRE, tag)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_matroska_turns_as_mp4_does(tmp_path, angle):
    seen = []
    for suffix in ("mp4", "mkv"):
        with VideoSource(write(tmp_path / f"a.{suffix}", turn=angle)) as source:
            seen.append(source.read().transform)
    assert seen[0] == seen[1] and seen[0].orientation == {90: 8, 180: 3, 270: 6}[angle]


def test_a_turn_by_an_odd_angle_is_refused(upright, tmp_path):
    cos, sin = np.cos(0.3), np.sin(0.3)
    (tmp_path / "odd.mp4").write_bytes(with_matrix(upright, (cos, sin, -sin, cos)))
    with pytest.raises(SourceError, match=r"odd\.mp4.*turned by .* degrees") as caught:
        VideoSource(tmp_path / "odd.mp4")
    assert "ffmpeg" in caught.value.hint


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(3, 4), Fraction(1280, 1281)])
def test_pixels_that_are_not_square_are_made_square(tmp_path, suffix, aspect):
    with VideoSource(write(tmp_path / f"a.{suffix}", aspect=aspect)) as source:
        frame = source.read()
    expected = {Fraction(4, 3): (213, 96), Fraction(3, 4): (160, 128)}.get(aspect, (160, 96))
    assert frame.image.shape[1::-1] == expected
    chosen = CameraChooser().camera_for(frame)
    assert chosen.size == expected and chosen.focal_px[0] == chosen.focal_px[1]
    assert (frame.transform is None) == (aspect == Fraction(1280, 1281))


def test_an_impossible_shape_of_pixels_is_refused(tmp_path):
    with pytest.raises(SourceError, match="pixels 16 times as wide"):
        VideoSource(write(tmp_path / "a.mp4", aspect=Fraction(16, 1)))


@pytest.fixture
def size_change(tmp_path):
    """A broadcast whose second half has another size."""
    first, second = write(tmp_path / "1.ts", (160, 96)), write(tmp_path / "2.ts", (96, 160))
    (tmp_path / "change.ts").write_bytes(first.read_bytes() + second.read_bytes())
    return tmp_path / "change.ts"


def test_frames_whose_size_changes_are_not_squeezed_and_it_is_told(size_change):
    with VideoSource(size_change) as source:
        read = list(frames(source))
        assert "changes from 160x96 to 96x160 at frame 5" in source.warning
    assert [frame.image.shape[1::-1] for frame in read] == [(160, 96)] * 5 + [(96, 160)] * 5
    chooser = CameraChooser(OFF_CENTRE)
    assert chooser.camera_for(read[0]) == OFF_CENTRE
    with pytest.raises(CameraError, match="96x160"):
        chooser.camera_for(read[5])


@pytest.mark.parametrize("size", [(64, 48), (48, 64)])
def test_an_assumed_field_of_view_lies_on_the_longer_side(size):
    camera = Camera.assumed(*size, 60.0)
    assert camera.focal_px == pytest.approx([32 / np.tan(np.deg2rad(30))] * 2)


@pytest.mark.parametrize("width", [202, 158, 160])
def test_frames_of_any_width_are_whole_arrays(tmp_path, width):
    with VideoSource(write(tmp_path / "a.mp4", (width, 96))) as source:
        image = source.read().image
    assert image.shape == (96, width, 3) and image.flags.c_contiguous and image.flags.writeable


def test_a_video_opens_no_other_file(tmp_path):
    write(tmp_path / "secret.mp4")
    for name, content in {
        "list.m3u8": "#EXTM3U\n#EXTINF:10,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "list.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
        "binary.mp4": "#EXTM3U\n#EXTINF:10,\nsecret.mp4\n#EXT-X-ENDLIST\n\0\0\0\xff",
    }.items():
        (tmp_path / name).write_text(content, encoding="latin-1")
        with pytest.raises(SourceError, match=name):
            VideoSource(tmp_path / name)
