import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from handdgp_core.errors import SourceError
from handdgp_core.sources import ImageFolderSource, frames
from handdgp_core.sources.image_folder import natural_key
from handdgp_core.sources.images import read_image
from tests.places import ROOT

REAL = ROOT.parent / "shared" / "data" / "real_val"


def save(path, image):
    assert cv2.imwrite(str(path), image)
    return path


def colours(height=6, width=8, value=200):
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = value  # OpenCV's order: red
    return image


def annotate(folder, names, **more):
    matrix = np.array([[400.0, 0, 3.5], [0, 410.0, 2.5], [0, 0, 1]])
    arrays = {"image": np.array(names), "intrinsics": np.repeat(matrix[None], len(names), 0)} | more
    np.savez(folder / "annotations.npz", **arrays)


def jpeg_turned(path, image, orientation=6):
    """JPEG with an EXIF orientation tag."""
    content = cv2.imencode(".jpg", image)[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + content[2:])


def test_natural_order_numbers_and_stamps(tmp_path):
    for name in ("frame10.png", "frame9.png", "Frame1.png", "frame100.png"):
        save(tmp_path / name, colours())
    with ImageFolderSource(tmp_path) as source:
        assert (source.size, source.frame_count, source.nominal_fps) == ((8, 6), 4, 30.0)
        read = list(frames(source))
    assert [frame.name for frame in read] == ["Frame1.png", "frame9.png", "frame10.png", "frame100.png"]
    assert [frame.index for frame in read] == [0, 1, 2, 3]
    assert [frame.stamp_ns for frame in read] == [0, 33_333_333, 66_666_667, 100_000_000]
    assert read[0].camera is None and source.warning is None


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=8, unique=True))
def test_natural_order_is_the_order_of_numbers(numbers):
    names = [f"img_{number}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"img_{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_names_can_be_ordered(names):
    assert sorted(sorted(names, key=natural_key)) == sorted(names)


def test_others_are_skipped_with_a_reason(tmp_path):
    save(tmp_path / "b.png", colours())
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "a.jpg").write_text("no picture at all")
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff nor this")
    (tmp_path / "folder").mkdir()
    with ImageFolderSource(tmp_path) as source:
        assert source.size == (8, 6)
        read = list(frames(source))
        source.seek(0)
        assert source.read().name == "b.png"
    assert [frame.index for frame in read] == [0]
    assert dict(source.skipped) == {
        "notes.txt": "not an image",
        "empty.png": "the file is empty",
        "a.jpg": "not an image",
        "c.jpg": "not an image that can be decoded",
    }
    assert len(source.skipped) == 4 and "4 skipped" in source.warning


def test_cut_jpeg_is_read_or_skipped_but_never_stops_the_rest(tmp_path):
    save(tmp_path / "b.jpg", colours(64, 64))
    content = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:200])
    with ImageFolderSource(tmp_path) as source:
        assert [frame.name for frame in frames(source)][-1] == "b.jpg"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.full((4, 5), 77, np.uint8), (77, 77, 77)),
        (np.full((4, 5), 77 * 257, np.uint16), (77, 77, 77)),
        (np.tile(np.array([10, 20, 130], np.uint16) * 257, (4, 5, 1)), (130, 20, 10)),
        (np.tile(np.array([10, 20, 30, 128], np.uint8), (4, 5, 1)), (30, 20, 10)),
        (np.tile(np.array([10, 20, 130, 0], np.uint16) * 257, (4, 5, 1)), (130, 20, 10)),
    ],
    ids=["grey", "grey 16", "colour 16", "RGBA", "RGBA 16"],
)
def test_every_kind_becomes_rgb_uint8(tmp_path, stored, expected):
    image = read_image(save(tmp_path / "a.png", stored))
    assert image.dtype == np.uint8 and image.shape == (4, 5, 3)
    assert (image == expected).all()


@pytest.mark.parametrize("shape", [(1, 1), (4320, 7680), (1, 900)])
def test_smallest_and_largest_images(tmp_path, shape):
    save(tmp_path / "a.png", np.full((*shape, 3), 9, np.uint8))
    with ImageFolderSource(tmp_path) as source:
        assert source.read().image.shape == (*shape, 3)
        assert source.size == shape[::-1]


def test_sizes_may_differ(tmp_path):
    save(tmp_path / "a.png", colours(6, 8))
    save(tmp_path / "b.png", colours(20, 10))
    with ImageFolderSource(tmp_path) as source:
        assert [frame.image.shape[:2] for frame in frames(source)] == [(6, 8), (20, 10)]
        assert source.size == (10, 20)


def test_exif_turns_plain_images_and_leaves_annotated_ones(tmp_path):
    jpeg_turned(tmp_path / "a.jpg", colours(16, 32))
    with ImageFolderSource(tmp_path) as source:
        assert source.read().image.shape == (32, 16, 3)
        assert source.size == (16, 32)
    annotate(tmp_path, ["a.jpg"])
    with ImageFolderSource(tmp_path) as source:
        frame = source.read()
    assert frame.image.shape == (16, 32, 3)
    assert (frame.camera.width, frame.camera.height) == (32, 16)


def test_annotated_frames_carry_their_own_camera(tmp_path):
    for name in ("1.png", "2.png"):
        save(tmp_path / name, colours())
    matrices = np.array([np.diag([focal, focal + 1, 1.0]) for focal in (300.0, 500.0)])
    annotate(tmp_path, ["2.png", "1.png"], intrinsics=matrices)
    with ImageFolderSource(tmp_path) as source:
        first, second = frames(source)
    assert first.camera.matrix[0, 0] == 500.0 and second.camera.matrix[0, 0] == 300.0
    assert first.camera.distortion.size == 0 and source.camera is None and source.warning is None


def test_images_and_annotations_that_do_not_match_are_reported(tmp_path):
    for name in ("1.png", "2.png"):
        save(tmp_path / name, colours())
    annotate(tmp_path, ["2.png", "3.png"])
    with ImageFolderSource(tmp_path) as source:
        assert source.missing == ("3.png",) and source.unannotated == ("1.png",)
        assert "3.png" in source.warning and "1.png" in source.warning
        assert [frame.camera is None for frame in frames(source)] == [True, False]


def test_annotations_of_other_images_are_refused(tmp_path):
    save(tmp_path / "1.png", colours())
    annotate(tmp_path, ["other.png"])
    with pytest.raises(SourceError, match=r"other\.png"):
        ImageFolderSource(tmp_path)


def test_damaged_annotations_are_refused(tmp_path):
    save(tmp_path / "1.png", colours())
    (tmp_path / "annotations.npz").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(SourceError, match=r"annotations\.npz"):
        ImageFolderSource(tmp_path)


def test_images_may_stand_in_a_sub_folder(tmp_path):
    (tmp_path / "images").mkdir()
    save(tmp_path / "images" / "1.png", colours())
    annotate(tmp_path, ["images/1.png"])
    with ImageFolderSource(tmp_path) as source:
        assert source.read().camera.matrix[0, 0] == 400.0


def test_one_image_is_a_source(tmp_path):
    save(tmp_path / "a.png", colours())
    with ImageFolderSource(tmp_path / "a.png") as source:
        assert [frame.name for frame in frames(source)] == ["a.png"] and source.frame_count == 1


def test_folder_without_images_says_what_is_there(tmp_path):
    with pytest.raises(SourceError, match="an empty folder"):
        ImageFolderSource(tmp_path)
    for name in ("a.txt", "b.txt", "c.py"):
        (tmp_path / name).write_text("x")
    with pytest.raises(SourceError, match=r"2 \.txt files, 1 \.py files"):
        ImageFolderSource(tmp_path)


def test_folder_of_broken_images_is_refused(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(SourceError, match="None of the 2 images"):
        ImageFolderSource(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        ImageFolderSource(tmp_path / "none")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs file permissions that hold")
def test_unreadable_image_is_skipped(tmp_path):
    save(tmp_path / "a.png", colours())
    save(tmp_path / "b.png", colours()).chmod(0)
    with ImageFolderSource(tmp_path) as source:
        assert len(list(frames(source))) == 1 and source.skipped[0][0] == "b.png"


def test_seek_and_close(tmp_path):
    for number in range(5):
        save(tmp_path / f"{number}.png", colours(value=number))
    source = ImageFolderSource(tmp_path)
    source.seek(3)
    assert source.read().name == "3.png"
    with pytest.raises(SourceError, match="0 to 4"):
        source.seek(5)
    source.close()
    assert source.read() is None


@pytest.mark.skipif(not REAL.is_dir(), reason="real images are not on this machine")
def test_real_annotated_folder():
    with ImageFolderSource(REAL) as source:
        frame = source.read()
        assert source.frame_count == 200 and source.warning is None
        assert frame.camera.matrix[0, 0] > 100 and frame.camera.width == frame.image.shape[1]
        assert source.annotations.keypoints_m.shape == (200, 21, 3)


def test_every_picture_of_a_folder_keeps_its_own_turn(tmp_path):
    for tag in range(1, 9):
        jpeg_turned(tmp_path / f"{tag}.jpg", colours(16, 32), tag)
    with ImageFolderSource(tmp_path) as source:
        read = list(frames(source))
    assert [1 if frame.transform is None else frame.transform.orientation for frame in read] == list(range(1, 9))
    for frame in read[1:]:
        assert frame.transform.stored_size == (32, 16) and frame.image.shape[1::-1] == frame.transform.shown_size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_all_formats_turn_alike(tmp_path, format, tag):
    stored = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"tiffinfo": {274: tag}} if format == "TIFF" else {"exif": exif}
    Image.fromarray(np.repeat(stored[..., None], 3, 2)).save(tmp_path / "a.img", format, **options)
    with Image.open(tmp_path / "a.img") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture), dtype=float)
    (tmp_path / "a.img").rename(tmp_path / "a")
    shown = read_image(tmp_path / "a")
    assert shown.shape == expected.shape and np.abs(shown - expected).mean() < 4
    assert np.abs(read_image(tmp_path / "a", use_exif=False)[..., 0].astype(float) - stored).mean() < 4


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_sixteen_are_scaled_and_told(tmp_path, bits):
    ramp = np.linspace(0, (1 << bits) - 1, 200).astype(np.uint16).reshape(10, 20)
    save(tmp_path / "a.png", ramp)
    with ImageFolderSource(tmp_path) as source:
        image = source.read().image
        assert f"a.png, {bits} bits" in source.warning
    assert image.max() == 255
    np.testing.assert_array_equal(image[..., 0], ramp >> (bits - 8))


def test_images_are_known_by_content_whatever_their_names(tmp_path, make_video):
    save(tmp_path / "a.png", colours())
    (tmp_path / "a.png").rename(tmp_path / "photograph")
    make_video(tmp_path / "clip.mp4", 3)
    (tmp_path / "clip.mp4").rename(tmp_path / "clip.jpg")
    (tmp_path / "b.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    (tmp_path / "c.dng").write_bytes(b"II*\0" + bytes(100))
    with ImageFolderSource(tmp_path) as source:
        assert source.names == ("photograph",)
    assert dict(source.skipped) == {
        "clip.jpg": "not an image",
        "b.jpg": "a picture of a kind that is not supported (HEIC)",
        "c.dng": "a picture of a kind that is not supported (raw photograph)",
    }


def test_pipes_and_devices_in_a_folder_are_skipped_without_waiting(tmp_path):
    save(tmp_path / "a.png", colours())
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "d.png").symlink_to(tmp_path / "nothing")
    with ImageFolderSource(tmp_path) as source:
        assert source.names == ("a.png",)
    reasons = dict(source.skipped)
    assert "pipe" in reasons["b.png"] and "device" in reasons["c.png"] and "does not exist" in reasons["d.png"]


def test_names_that_are_not_utf8_are_read_and_stay_apart(tmp_path):
    for byte in (0xE8, 0xE9):
        save(tmp_path / "a.png", colours())
        os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/caf" + bytes([byte]) + b".png")
    with ImageFolderSource(tmp_path) as source:
        assert [frame.name for frame in frames(source)] == ["caf\\xe8.png", "caf\\xe9.png"]


@pytest.mark.parametrize("size", [(20_000, 10_001), (60_000, 60_000)])
def test_an_image_that_would_fill_the_memory_is_refused_before(tmp_path, size):
    """A header alone: the pixels need not be there."""
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    pixels = zlib.compress(b"")
    data = struct.pack(">I", len(pixels)) + b"IDAT" + pixels + struct.pack(">I", zlib.crc32(b"IDAT" + pixels))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    with pytest.raises(SourceError, match="pixels"):
        ImageFolderSource(tmp_path)
