"""HO3D's layout, read by our own reader of the data set and by pickle and OpenCV alone; MANO's table."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from handdgp_core.datasets.ho3d import HO3D
from handdgp_core.errors import AssetError
from handdgp_core.export.exporter import open_exporters
from handdgp_core.export.ho3d import Ho3dFolder
from handdgp_core.export.mano import ManoTable
from handdgp_core.export.mano_fit import ManoModel
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand
from tests.handdgp_core.hands.mano_like import write_mano_like
from tests.open_hands import degenerate_hand, open_hand

BENT_LENS = Camera(640, 480, np.array([[500.0, 0, 330], [0, 505.0, 239.5], [0, 0, 1]]), [-0.25, 0.06, 0.001, 0, 0])
HANDS = (open_hand("right", (-0.06, 0.02, 0.5)), open_hand("left", (0.08, -0.03, 0.45), index_MCP_flexion=30.0))
MIRROR = np.diag([-1.0, 1.0, 1.0])
TIPS_LAST = {0: "wrist", 1: "index MCP", 16: "thumb tip", 17: "index tip", 20: "little tip"}
FREIHAND = {"wrist": 0, "index MCP": 5, "thumb tip": 4, "index tip": 8, "little tip": 20}


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDDGP_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def as_right(hand: Hand, points: np.ndarray) -> np.ndarray:
    return points @ MIRROR if hand.handedness == "left" else points


def write(folder: Path, exporter: Ho3dFolder | ManoTable) -> None:
    for number, hand in enumerate(HANDS):
        image = np.full((480, 640, 3), 40, np.uint8)
        u, v = np.round(BENT_LENS.project(hand.keypoints_m[8])).astype(int)
        cv2.circle(image, (int(u), int(v)), 4, (255, 255, 255), -1)
        exporter.add(Frame(image, 0, 7 + number), [hand, degenerate_hand()], BENT_LENS)
    exporter.close()
    exporter.close()


def test_our_own_reader_gets_the_hands_back(tmp_path: Path) -> None:
    exporter = Ho3dFolder(tmp_path / "ho3d")
    write(tmp_path / "ho3d", exporter)
    assert sorted(exporter.files) == sorted(path for path in (tmp_path / "ho3d").rglob("*") if path.is_file())
    data = HO3D(tmp_path / "ho3d")
    assert len(data) == 2
    for hand, found in zip(HANDS, (data[0], data[1]), strict=True):
        np.testing.assert_allclose(found.keypoints_m, as_right(hand, hand.keypoints_m), atol=1e-9)
        point = found.matrix @ found.keypoints_m[8]
        bright = np.argwhere(found.image.min(axis=2) > 200).mean(axis=0)[::-1]
        np.testing.assert_allclose(bright, point[:2] / point[2], atol=1.0)


def test_plain_pickle_finds_joints_in_manos_order_and_opengl_axes(tmp_path: Path) -> None:
    write(tmp_path / "ho3d", Ho3dFolder(tmp_path / "ho3d"))
    lines = (tmp_path / "ho3d/train.txt").read_text().split()
    assert lines == ["right_track1/000007", "left_track2/000008"]
    for line, hand in zip(lines, HANDS, strict=True):
        sequence, number = line.split("/")
        data = (tmp_path / f"ho3d/train/{sequence}/meta/{number}.pkl").read_bytes()
        assert b"numpy._core" not in data  # NumPy 1 has no such module
        meta = pickle.loads(data)
        assert set(meta) == {"camMat", "handJoints3D"}
        expected = as_right(hand, hand.keypoints_m) * [1, -1, -1]
        for place, name in TIPS_LAST.items():
            np.testing.assert_allclose(meta["handJoints3D"][place], expected[FREIHAND[name]])
        assert (meta["handJoints3D"][:, 2] < 0).all()
        assert cv2.imread(str(tmp_path / f"ho3d/train/{sequence}/rgb/{number}.jpg")).shape == (480, 640, 3)
    about = json.loads((tmp_path / "ho3d/about.json").read_text())
    assert [entry["mirrored"] for entry in about["images"]] == [False, True]


def test_with_manos_file_meshes_follow_from_the_parameters(tmp_path: Path, no_models: Path) -> None:
    write_mano_like(no_models)
    model = ManoModel()
    write(tmp_path / "ho3d", Ho3dFolder(tmp_path / "ho3d"))
    data = HO3D(tmp_path / "ho3d", mesh_from_parameters=model.vertices)
    for index, hand in enumerate(HANDS):
        vertices = data[index].vertices_m
        assert vertices is not None and vertices.shape == (778, 3)
        wanted = as_right(hand, hand.vertices_m)
        nearest = np.linalg.norm(vertices[:, None] - wanted[None], axis=-1).min(axis=1)
        assert nearest.mean() < 4e-3  # of a skin that was made from the same hand


def test_manos_parameters_give_the_keypoints_back(tmp_path: Path, no_models: Path) -> None:
    write_mano_like(no_models)
    exporter = ManoTable(tmp_path / "mano.npz")
    write(tmp_path, exporter)
    model = ManoModel()
    with np.load(tmp_path / "mano.npz", allow_pickle=False) as table:
        assert table["handedness"].tolist() == ["right", "left"] and table["frame_index"].tolist() == [7, 8]
        assert table["mirrored"].tolist() == [False, True]
        keypoints = model.keypoints(table["pose_rad"], table["shape"], table["translation_m"])
        for hand, found, error in zip(HANDS, keypoints, table["error_mm"], strict=True):
            distances = np.linalg.norm(found - as_right(hand, hand.keypoints_m), axis=1)
            assert 1e3 * np.sqrt((distances**2).mean()) == pytest.approx(error) and error < 1.0


def test_without_manos_file_the_table_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AssetError) as caught:
        open_exporters(["mano"], tmp_path)
    assert "mano.is.tue.mpg.de" in caught.value.hint
