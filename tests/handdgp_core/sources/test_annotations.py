import io

import numpy as np
import pytest

from handdgp_core.errors import SourceError
from handdgp_core.sources import load_annotations

MATRIX = np.array([[400.0, 0, 64], [0, 401.0, 48], [0, 0, 1]])


def write(folder, **changes):
    arrays = {
        "image": np.array(["a.png", "b.png", "a.png"]),
        "intrinsics": np.repeat(MATRIX[None], 3, 0),
        "keypoints_m": np.full((3, 21, 3), 0.25),
        "handedness": np.array(["left", "right", "right"]),
    } | changes
    np.savez(folder / "annotations.npz", **{key: value for key, value in arrays.items() if value is not None})
    return folder


def test_reads_all(tmp_path):
    found = load_annotations(write(tmp_path))
    assert found.rows == {"a.png": [0, 2], "b.png": [1]}
    assert found.handedness == ("left", "right", "right")
    assert found.keypoints_m.shape == (3, 21, 3) and found.keypoints_m.dtype == np.float64
    np.testing.assert_array_equal(found.intrinsics_of("b.png"), MATRIX)
    assert found.intrinsics_of("c.png") is None
    assert load_annotations(tmp_path / "annotations.npz").image == found.image


def test_truth_is_optional_and_bytes_are_text(tmp_path):
    names = np.array([b"images/a.png", b"./b.png", b"c.png"])
    found = load_annotations(write(tmp_path, keypoints_m=None, handedness=None, image=names))
    assert found.keypoints_m is None and found.handedness is None
    assert found.image == ("a.png", "b.png", "c.png")


def matrices_with(row, column, value):
    changed = np.repeat(MATRIX[None], 3, 0)
    changed[1, row, column] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"intrinsics": None}, "has no 'intrinsics'"),
        ({"image": None}, "has no 'image'"),
        ({"image": np.arange(3)}, "'image' must be a list of text"),
        ({"image": np.array(["a", "b"])}, r"shape \(2, 3, 3\)"),
        ({"intrinsics": np.eye(3)}, r"shape \(3, 3, 3\)"),
        ({"intrinsics": np.full((3, 3, 3), "x")}, "must be numbers"),
        ({"intrinsics": matrices_with(0, 0, np.nan)}, r"b\.png"),
        ({"intrinsics": matrices_with(1, 1, -400.0)}, "positive focal"),
        ({"intrinsics": matrices_with(0, 1, 3.0)}, "camera matrices"),
        ({"intrinsics": matrices_with(2, 2, 2.0)}, "camera matrices"),
        ({"keypoints_m": np.zeros((3, 20, 3))}, "keypoints_m"),
        ({"handedness": np.array(["left", "both", "right"])}, "both"),
        ({"handedness": np.array(["left"])}, "3 times"),
        ({"image": np.array(["a", "b", None], dtype=object)}, "damaged"),
    ],
)
def test_wrong_content_is_refused(tmp_path, changes, match):
    with pytest.raises(SourceError, match=match):
        load_annotations(write(tmp_path, **changes))


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="There is no file"):
        load_annotations(tmp_path)


def test_bytes_that_are_no_archive(tmp_path):
    good = write(tmp_path) / "annotations.npz"
    content = good.read_bytes()
    bare = io.BytesIO()
    np.save(bare, MATRIX)
    middle = len(content) // 2
    scratched = content[:middle] + bytes(200) + content[middle + 200 :]
    for broken in (b"", b"text", content[:middle], bare.getvalue(), scratched, content[:-30]):
        good.write_bytes(broken)
        with pytest.raises(SourceError, match=r"annotations\.npz"):
            load_annotations(tmp_path)
