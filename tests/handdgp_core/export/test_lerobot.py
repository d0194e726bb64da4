"""Data sets for LeRobot, read by pyarrow and PyAV against the published layout; by LeRobot where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.export.lerobot import STATE_NAMES, VIDEO, LeRobotFolder
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.types import Frame, Hand
from tests.handdgp_core.export.moving_hands import moving_hand
from tests.open_hands import degenerate_hand

FRAMES = 12
CAMERA = Camera(321, 240, np.array([[300.0, 0, 160], [0, 300.0, 119.5], [0, 0, 1]]))


def image(number: int) -> np.ndarray:
    """Its brightness tells its number."""
    return np.full((240, 321, 3), 40 + 10 * number, dtype=np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Hand]]:
    folder = tmp_path_factory.mktemp("lerobot") / "lerobot"
    exporter = LeRobotFolder(folder, fps=29.97)
    hands = [moving_hand("right", number) for number in range(FRAMES)]
    for number, hand in enumerate(hands):
        seen = [hand] if number != 5 else [degenerate_hand("right")]
        exporter.add(Frame(image(number), 7_000_000_000 + 40_000_000 * number, 100 + number), seen, CAMERA)
    exporter.close()
    exporter.close()
    assert sorted(exporter.files) == sorted(path for path in folder.parent.rglob("*") if path.is_file())
    return folder, hands


def rows(folder: Path) -> dict[str, list]:
    return pq.read_table(folder / "data/chunk-000/file-000.parquet").to_pydict()


def test_rows_hold_wrist_tips_and_times(made: tuple[Path, list[Hand]]) -> None:
    folder, hands = made
    table = rows(folder)
    assert table["index"] == table["frame_index"] == list(range(FRAMES)) and set(table["episode_index"]) == {0}
    np.testing.assert_allclose(table["timestamp"], np.arange(FRAMES) / 30, atol=1e-6)
    np.testing.assert_allclose(table["observation.captured_s"], 7 + 0.04 * np.arange(FRAMES))
    state = np.array(table["observation.state"])
    wrist, tip = STATE_NAMES.index("right_wrist_x"), STATE_NAMES.index("right_index_tip_x")
    for number, hand in enumerate(hands):
        if number == 5:
            assert np.isnan(state[number]).all() and table["observation.hand_seen"][number] == [False, False]
            continue
        joints = joint_frames(hand)
        at = JOINTS.index("wrist")
        np.testing.assert_allclose(state[number, wrist : wrist + 3], joints.positions_m[at], atol=1e-6)
        turned = Rotation.from_quat(state[number, wrist + 3 : wrist + 7]).as_matrix()
        np.testing.assert_allclose(turned, joints.rotations[at], atol=1e-6)
        np.testing.assert_allclose(
            state[number, tip : tip + 3], joints.positions_m[JOINTS.index("index tip")], atol=1e-6
        )
        assert np.isnan(state[number, :wrist]).all()  # no left hand
        assert table["observation.hand_seen"][number] == [False, True]
        assert table["observation.confidence"][number][1] == pytest.approx(hand.score)


def test_the_video_has_a_frame_a_row_in_their_order(made: tuple[Path, list[Hand]]) -> None:
    folder, _ = made
    with av.open(str(folder / "videos" / VIDEO / "chunk-000/file-000.mp4")) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == FRAMES and (frames[0].width, frames[0].height) == (322, 240)
    np.testing.assert_allclose([float(frame.pts * frame.time_base) for frame in frames], np.arange(FRAMES) / 30)
    levels = [frame.to_ndarray(format="rgb24")[40:200, 40:280].mean() for frame in frames]
    np.testing.assert_allclose(levels, 40 + 10 * np.arange(FRAMES), atol=2)


def test_meta_files_are_those_of_the_published_layout(made: tuple[Path, list[Hand]]) -> None:
    folder, _ = made
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 30, FRAMES)
    table = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    assert set(table.column_names) | {VIDEO} == set(info["features"])
    for name, feature in info["features"].items():
        if name != VIDEO and feature["shape"] != [1]:
            assert table.schema.field(name).type.list_size == feature["shape"][0] == len(feature["names"])
    episode = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()[0]
    assert episode["length"] == episode["dataset_to_index"] == FRAMES and len(episode["tasks"]) == 1
    assert episode[f"videos/{VIDEO}/to_timestamp"] == pytest.approx(FRAMES / 30)
    tasks = pq.read_table(folder / "meta/tasks.parquet").to_pandas()
    assert tasks.loc[episode["tasks"][0]].task_index == 0
    about = json.loads((folder / "meta/handdgp.json").read_text())
    assert about["camera"]["matrix"] == CAMERA.matrix.tolist() and about["not_known"] == "NaN"


def test_statistics_leave_out_what_is_not_known(made: tuple[Path, list[Hand]]) -> None:
    folder, _ = made
    stats = json.loads((folder / "meta/stats.json").read_text())
    state = np.array(rows(folder)["observation.state"])
    known = STATE_NAMES.index("right_wrist_z")
    assert stats["observation.state"]["mean"][known] == pytest.approx(np.nanmean(state[:, known]))
    assert stats["observation.state"]["std"][known] == pytest.approx(np.nanstd(state[:, known]))
    assert (stats["observation.state"]["mean"][0], stats["observation.state"]["std"][0]) == (0.0, 1.0)
    levels = (40 + 10 * np.arange(FRAMES)) / 255
    np.testing.assert_allclose(np.ravel(stats[VIDEO]["mean"]), levels.mean(), atol=0.01)
    assert np.shape(stats[VIDEO]["std"]) == (3, 1, 1)


def test_lerobots_own_reader(made: tuple[Path, list[Hand]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    module = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="LeRobot is not installed")
    folder, hands = made
    data = module.LeRobotDataset("local/hands", root=folder)
    assert len(data) == FRAMES and data.fps == 30 and data.meta.camera_keys == [VIDEO]
    row = data.hf_dataset[3]  # its video readers depend on torchvision's; PyAV reads the video above
    wrist = STATE_NAMES.index("right_wrist_x")
    np.testing.assert_allclose(row["observation.state"][wrist : wrist + 3], hands[3].keypoints_m[0], atol=1e-6)
    assert (folder / data.meta.get_video_file_path(0, VIDEO)).is_file()
    np.testing.assert_allclose(data.meta.stats["observation.captured_s"]["count"], FRAMES)


def test_no_frame_makes_no_folder(tmp_path: Path) -> None:
    exporter = LeRobotFolder(tmp_path / "none", 30)
    exporter.close()
    assert exporter.files == [] and list(tmp_path.iterdir()) == []
