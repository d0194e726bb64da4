from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
import trimesh

from handdgp_core.errors import OutputError, UsageError
from handdgp_core.export.exporter import NAMES, ExporterGroup, ExportOptions, open_exporters
from handdgp_core.export.tables import PredictionsWriter


def tree(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_exports_at_once(tmp_path, make_frame, make_hand, degenerate, camera, monkeypatch):
    monkeypatch.setenv("HANDDGP_MODELS", str(tmp_path / "models"))
    names = [name for name in NAMES if name != "mano"]  # needs the user's own file
    with open_exporters(names, tmp_path / "out", ExportOptions(camera_axes="blender", fps=12.0)) as group:
        group.add(make_frame(0), [make_hand()], camera)
        group.add(make_frame(1), [], camera)
        group.add(make_frame(2), [degenerate], camera)
    meshes = {"obj/hand_000000.obj", "ply/hand_000000.ply", "glb-frames/hand_000000.glb"}
    lists = {f"freihand/training_{name}.json" for name in ("K", "xyz", "verts", "scale")}
    whole = {
        "hands.csv",
        "predictions.npz",
        "overlay.mp4",
        "hands.glb",
        "hands-skinned.glb",
        "hands.usdc",
        "scene.mcap",
        "coco.json",
    }
    freihand = lists | {"freihand/about.json", "freihand/training/rgb/00000000.jpg"}
    bag = {"ros2bag/metadata.yaml", "ros2bag/ros2bag.mcap"}
    meta = {f"lerobot/meta/{name}" for name in ("info.json", "stats.json", "tasks.parquet", "handdgp.json")}
    places = {"meta/episodes/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet"}
    places |= {"videos/observation.images.camera/chunk-000/file-000.mp4"}
    robots = meta | {f"lerobot/{place}" for place in places}
    ho3d = {"ho3d/train.txt", "ho3d/about.json", "ho3d/train/right_track4/rgb/000000.jpg"}
    ho3d |= {"ho3d/train/right_track4/meta/000000.pkl"}
    skeletons = {"bvh/right_track4_frame000000.bvh"}
    assert tree(tmp_path / "out") == meshes | whole | freihand | bag | robots | ho3d | skeletons
    assert set(group.files) == {tmp_path / "out" / name for name in tree(tmp_path / "out")}
    mesh = trimesh.load_mesh(tmp_path / "out" / "obj" / "hand_000000.obj", process=False)
    assert 0.3 < mesh.vertices[:, 1].min() < 0.5  # Blender's y is the depth
    with np.load(tmp_path / "out" / "predictions.npz") as table:
        assert 0.3 < table["root_m"][0, 2] < 0.5  # tables stay in the OpenCV frame
    assert len((tmp_path / "out" / "hands.csv").read_text().splitlines()) == 3
    assert cv2.VideoCapture(str(tmp_path / "out" / "overlay.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_a_run_without_hands(tmp_path, make_frame, make_hand, camera):
    hand = make_hand()
    options = ExportOptions(faces=hand.faces, vertex_count=len(hand.vertices_m))
    with open_exporters(["obj", "npz", "csv"], tmp_path, options) as group:
        group.add(make_frame(), [], camera)
    assert tree(tmp_path) == {"predictions.npz", "hands.csv"}
    with np.load(tmp_path / "predictions.npz") as table:
        assert table["vertices_m"].shape == (0, len(hand.vertices_m), 3)


def test_names_are_forgiving_and_unique(tmp_path, make_frame, make_hand, camera):
    with open_exporters([" CSV", "csv", "Obj "], tmp_path) as group:
        group.add(make_frame(), [make_hand()], camera)
    assert tree(tmp_path) == {"hands.csv", "obj/hand_000000.obj"}


def test_unknown_names_list_the_known_ones_and_touch_nothing(tmp_path):
    with pytest.raises(UsageError, match="obj, ply, glb, csv, npz, video") as caught:
        open_exporters(["obj", "fbx"], tmp_path / "out")
    assert caught.value.problem == "There is no export 'fbx'."
    assert not (tmp_path / "out").exists()


def test_unknown_axes_are_refused_at_once():
    with pytest.raises(UsageError, match="opencv, opengl, blender"):
        ExportOptions(camera_axes="maya")


def test_an_unusable_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="a file at"):
        open_exporters(["csv"], tmp_path / "out")


def test_opening_that_fails_halfway_closes_what_was_open(tmp_path):
    with pytest.raises(UsageError, match="frame rate"):
        open_exporters(["csv", "video"], tmp_path, ExportOptions(fps=0.0))
    assert not [name for name in tree(tmp_path) if ".part" in name]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_breaking_off_completes_every_file(tmp_path, make_frame, make_hand, camera, error):
    with pytest.raises(type(error)), open_exporters(["npz", "csv", "video"], tmp_path) as group:
        group.add(make_frame(0), [make_hand()], camera)
        raise error
    assert tree(tmp_path) == {"predictions.npz", "hands.csv", "overlay.mp4"}
    with np.load(tmp_path / "predictions.npz") as table:
        assert len(table["score"]) == 1


@dataclass
class Faulty:
    """An exporter that cannot be completed."""

    reserve_bytes: int = 0
    files: list = field(default_factory=list)

    def add(self, frame, hands, camera):
        """Takes anything."""

    def close(self):
        """Fails."""
        raise OutputError("There is not a disk.")


def test_one_exporter_that_fails_to_close_does_not_harm_the_others(tmp_path, make_frame, make_hand, camera):
    table = PredictionsWriter(tmp_path / "predictions.npz")
    group = ExporterGroup({"faulty": Faulty(), "npz": table}, tmp_path)
    with pytest.raises(OutputError, match="a disk"), group:
        group.add(make_frame(), [make_hand()], camera)
    assert tree(tmp_path) == {"predictions.npz"}


def test_the_first_error_is_the_one_that_is_raised(tmp_path):
    with pytest.raises(KeyboardInterrupt), ExporterGroup({"faulty": Faulty()}, tmp_path):
        raise KeyboardInterrupt


def test_a_disk_that_fills_up(tmp_path, make_frame, make_hand, camera):
    """On a real small disk: everything stops with one clear error, and every file that is there is whole."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        added = 0
        hand = make_hand(vertices_m=np.random.default_rng(0).normal(size=(20_000, 3)) * 0.01 + (0, 0, 0.4))
        group = open_exporters(["glb-frames", "npz", "csv", "video"], disk)
        with pytest.raises(OutputError, match="of free space"), group:
            for index in range(1000):
                group.add(make_frame(index), [hand], camera)
                added += 1
        assert added >= 5
        assert not [name for name in tree(disk) if ".part" in name]
        with np.load(disk / "predictions.npz") as table:
            np.testing.assert_array_equal(table["frame_index"], np.arange(added))
            assert table["vertices_m"].shape == (added, 20_000, 3)
        assert len((disk / "hands.csv").read_text().splitlines()) == added + 1
        assert cv2.VideoCapture(str(disk / "overlay.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == added
        last = disk / "glb-frames" / f"hand_{added - 1:06d}.glb"
        assert len(trimesh.load_mesh(last, process=False).vertices) == 20_000
        assert len(os.listdir(disk / "glb-frames")) == added
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
