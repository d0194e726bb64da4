"""Turned photographs: what the tag says, and pictures turned as Pillow turns them."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from calib.exif import exif_orientation, with_orientation

STORED = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("tag", range(1, 9))
def test_pictures_turn_as_pillow_turns_them_and_back(tmp_path, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(STORED).save(tmp_path / "a.png", exif=exif)
    assert exif_orientation(tmp_path / "a.png") == tag
    with Image.open(tmp_path / "a.png") as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(with_orientation(STORED, 1, tag), shown)
    np.testing.assert_array_equal(with_orientation(shown, tag, 1), STORED)


def test_no_tag_or_no_picture_is_as_stored(tmp_path):
    Image.fromarray(STORED).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8 nothing")
    assert [exif_orientation(tmp_path / name) for name in ("a.png", "b.jpg", "c.jpg")] == [1, 1, 1]
