import numpy as np
import pytest

from handdgp_core.errors import AssetError
from handdgp_core.sources import DemoSource, load_truth, open_source
from handdgp_core.sources.demo import DEMO_FOLDER

COUNT = 6


def truth_arrays():
    rows = [0, 0, 1, 3, 4, 5]
    return {
        "matrix": np.array([[150.0, 0, 79.5], [0, 150.0, 47.5], [0, 0, 1]]),
        "distortion": np.array([0.1, -0.05, 0, 0, 0]),
        "size": np.array([160, 96]),
        "frame_index": np.array(rows),
        "handedness": np.array(["left", "right", "left", "left", "right", "right"]),
        "keypoints_m": np.full((6, 21, 3), 0.5, np.float32),
        "root_m": np.full((6, 3), 0.5, np.float32),
        "vertices_m": np.full((6, 10, 3), 0.5, np.float16),
    }


@pytest.fixture
def demo(make_video, tmp_path):
    make_video(tmp_path / "demo.mp4", COUNT)
    np.savez(tmp_path / "truth.npz", **truth_arrays())
    return tmp_path


def test_every_frame_carries_the_true_camera(demo):
    with open_source("demo", demo_folder=demo) as source:
        assert isinstance(source, DemoSource) and source.is_rendered
        assert "rendered" in source.name and source.frame_count == COUNT
        frame = source.read()
    assert frame.camera is source.camera and source.camera.matrix[0, 0] == 150.0
    np.testing.assert_array_equal(source.camera.distortion, [0.1, -0.05, 0, 0, 0])
    assert source.truth.rows_of(frame.index) == [0, 1] and source.truth.rows_of(2) == []


def test_looping_demo_numbers_its_frames_like_the_truth(demo):
    with DemoSource(demo, loop=True) as source:
        assert [source.read().index for _ in range(COUNT + 2)] == [*range(COUNT), 0, 1]


def test_truth_without_mesh(demo):
    arrays = truth_arrays()
    del arrays["vertices_m"]
    np.savez(demo / "truth.npz", **arrays)
    truth = load_truth(demo)
    assert truth.vertices_m is None
    assert truth.keypoints_m.shape == (6, 21, 3) and truth.handedness[1] == "right"


def test_webm_will_do(make_video, tmp_path):
    make_video(tmp_path / "demo.webm", COUNT, "VP80")
    np.savez(tmp_path / "truth.npz", **truth_arrays())
    with DemoSource(tmp_path) as source:
        assert source.read() is not None


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": np.eye(4)},
        {"matrix": np.diag([-1.0, 1.0, 1.0])},
        {"size": np.array([1, 2, 3])},
        {"size": np.array([320, 192])},
        {"frame_index": np.array([0, 0, 1, 3, 4, 500])},
        {"handedness": np.array(["left"] * 5)},
        {"handedness": np.array(["up"] * 6)},
        {"keypoints_m": np.full((6, 20, 3), 0.5)},
        {"root_m": np.full((6, 3), np.nan)},
        {"vertices_m": np.zeros((5, 10, 3))},
        {"frame_index": None},
        {"distortion": np.array(["a"])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_damaged_truth(demo, change):
    arrays = {key: value for key, value in (truth_arrays() | change).items() if value is not None}
    np.savez(demo / "truth.npz", **arrays)
    with pytest.raises(AssetError) as caught:
        DemoSource(demo)
    assert "README" in caught.value.hint


def test_cut_truth_and_cut_clip(demo):
    content = (demo / "truth.npz").read_bytes()
    (demo / "truth.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(AssetError, match="damaged"):
        DemoSource(demo)
    (demo / "truth.npz").write_bytes(content)
    (demo / "demo.mp4").write_bytes((demo / "demo.mp4").read_bytes()[:900])
    with pytest.raises(AssetError, match="clip"):
        DemoSource(demo)


def test_missing_parts(demo):
    (demo / "truth.npz").unlink()
    with pytest.raises(AssetError, match="truth"):
        DemoSource(demo)
    (demo / "demo.mp4").unlink()
    with pytest.raises(AssetError, match="clip"):
        DemoSource(demo)


@pytest.mark.skipif(not (DEMO_FOLDER / "truth.npz").exists(), reason="the demo is not built yet")
def test_the_bundled_demo_is_whole():
    with DemoSource() as source:
        frame = source.read()
        assert frame.camera.size == source.size
        assert set(source.truth.handedness) == {"left", "right"}
        rows = source.truth.frame_index
        assert rows.min() >= 0 and rows.max() < source.frame_count
