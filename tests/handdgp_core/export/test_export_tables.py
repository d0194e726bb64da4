"""predictions.npz and hands.csv, read back with NumPy and the csv module."""

from __future__ import annotations

import csv
import errno
import os
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest
from mcap.records import Footer, Message
from mcap.stream_reader import StreamReader

from handdgp_core import files as folder
from handdgp_core.errors import OutputError, ShapeError, SourceError
from handdgp_core.export import spool
from handdgp_core.export.csv_table import HEADER, CsvWriter
from handdgp_core.export.tables import PredictionsWriter
from handdgp_core.hands.palm import distance_std_m

PER_HAND = {
    "frame_index": (),
    "stamp_ns": (),
    "handedness": (),
    "score": (),
    "track_id": (),
    "hand_scale": (),
    "root_m": (3,),
    "root_covariance_m2": (3, 3),
    "distance_std_m": (),
    "keypoints_m": (21, 3),
    "keypoints_px": (21, 2),
    "weights": (21,),
    "degenerate": (),
}
Usage = namedtuple("Usage", "total used free")


def load(path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def read_csv(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_npz_holds_every_hand(tmp_path, make_hand, degenerate, make_frame):
    right, left = make_hand(), make_hand("left", (0.1, 0, 0.6), distance_std=0.1)
    assert distance_std_m(left) == pytest.approx(0.06, rel=0.05)
    with PredictionsWriter(tmp_path / "predictions.npz") as writer:
        writer.add(make_frame(3), [right, degenerate])
        writer.add(make_frame(4), [])
        writer.add(make_frame(9), [left])
    table = load(tmp_path / "predictions.npz")
    assert {name: table[name].shape[1:] for name in PER_HAND} == PER_HAND
    assert {len(table[name]) for name in PER_HAND} == {3}
    assert "image" not in table
    np.testing.assert_array_equal(table["frame_index"], [3, 3, 9])
    assert table["stamp_ns"].dtype == np.int64
    assert table["stamp_ns"][2] == make_frame(9).stamp_ns
    np.testing.assert_array_equal(table["handedness"], ["right", "left", "left"])
    np.testing.assert_array_equal(table["degenerate"], ["", "too few weights", ""])
    stds_m = [distance_std_m(hand) for hand in (right, degenerate, left)]
    np.testing.assert_allclose(table["distance_std_m"], stds_m, rtol=1e-6)
    for name in ("root_m", "root_covariance_m2", "keypoints_m", "keypoints_px", "weights", "vertices_m"):
        assert table[name].dtype == np.float32
        for row, hand in enumerate((right, degenerate, left)):
            np.testing.assert_allclose(table[name][row], getattr(hand, name), rtol=1e-6, atol=1e-7)
    assert np.isnan(table["vertices_m"][1]).all()
    assert np.isfinite(table["vertices_m"][[0, 2]]).all()


def test_npz_names_the_images_of_a_folder(tmp_path, make_hand, make_frame):
    with PredictionsWriter(tmp_path / "predictions.npz") as writer:
        writer.add(make_frame(0, name="a.jpg"), [make_hand()])
        writer.add(make_frame(1, name="größer_é.png"), [make_hand()])
    assert load(tmp_path / "predictions.npz")["image"].tolist() == ["a.jpg", "größer_é.png"]


def signed_volume(vertices, faces) -> float:
    return float(np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])))


@pytest.mark.parametrize("sides", [["right"], ["left"], ["left", "right"]])
def test_npz_faces_are_outward_for_each_side(tmp_path, make_hand, make_frame, sides):
    right = make_hand("right")
    mirror = right.vertices_m * (-1, 1, 1)
    hands = {"right": right, "left": make_hand("left", vertices_m=mirror, faces=right.faces[:, [0, 2, 1]])}
    with PredictionsWriter(tmp_path / "predictions.npz") as writer:
        writer.add(make_frame(), [hands[side] for side in sides])
    table = load(tmp_path / "predictions.npz")
    assert signed_volume(right.vertices_m, table["faces"]) > 0
    assert signed_volume(mirror, table["faces_left"]) > 0


def test_npz_of_a_run_without_hands(tmp_path, make_hand, make_frame):
    hand = make_hand()
    for name, options, vertex_count in (
        ("unknown", {}, 0),
        ("known", {"faces": hand.faces, "vertex_count": len(hand.vertices_m)}, len(hand.vertices_m)),
    ):
        with PredictionsWriter(tmp_path / f"{name}.npz", **options) as writer:
            writer.add(make_frame(), [])
        table = load(tmp_path / f"{name}.npz")
        assert {key: table[key].shape for key in PER_HAND} == {key: (0, *shape) for key, shape in PER_HAND.items()}
        assert table["vertices_m"].shape == (0, vertex_count, 3)
        assert table["faces"].shape == ((len(hand.faces) if vertex_count else 0), 3)
        assert table["faces_left"].shape == table["faces"].shape


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize(("Writer", "name"), [(PredictionsWriter, "predictions.npz"), (CsvWriter, "hands.csv")])
def test_breaking_off_keeps_what_was_added(tmp_path, make_hand, make_frame, error, Writer, name):
    writer = Writer(tmp_path / name)
    with pytest.raises(type(error)):
        try:
            for index in range(10):
                writer.add(make_frame(index), [make_hand()])
                assert not (tmp_path / name).exists()
                if index == 4:
                    raise error
        finally:
            writer.close()
            writer.close()
    rows = load(tmp_path / name)["frame_index"] if name.endswith("npz") else read_csv(tmp_path / name)
    assert len(rows) == 5
    assert os.listdir(tmp_path) == [name]


def test_npz_memory_does_not_grow_with_the_rows(tmp_path, make_hand, make_frame):
    hand = make_hand(vertices_m=np.ones((4000, 3)), faces=np.array([[0, 1, 2]], dtype=np.int32))
    frame = make_frame()

    def peak_bytes(row_count: int) -> int:
        tracemalloc.start()
        with PredictionsWriter(tmp_path / "predictions.npz") as writer:
            for _ in range(row_count):
                writer.add(frame, [hand])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    few, many = peak_bytes(600), peak_bytes(1200)  # 29 and 58 MB of vertices; NumPy's own buffers take 33 MB
    assert (tmp_path / "predictions.npz").stat().st_size > 1200 * 4000 * 12
    assert many < few + 2_000_000


def test_npz_is_the_same_every_time(tmp_path, make_hand, degenerate, make_frame):
    data = []
    for name in ("a.npz", "b.npz"):
        with PredictionsWriter(tmp_path / name) as writer:
            writer.add(make_frame(), [make_hand(), degenerate])
        data.append((tmp_path / name).read_bytes())
    assert data[0] == data[1]


def test_npz_refuses_a_hand_of_another_mesh(tmp_path, make_hand, make_frame):
    with PredictionsWriter(tmp_path / "predictions.npz") as writer:
        writer.add(make_frame(), [make_hand()])
        with pytest.raises(ShapeError, match="hands of 162 vertices"):
            writer.add(make_frame(1), [make_hand(vertices_m=np.zeros((5, 3)))])
    assert len(load(tmp_path / "predictions.npz")["score"]) == 1


def test_npz_stops_while_the_final_file_still_fits(tmp_path, make_hand, make_frame, monkeypatch):
    """A disk that has room for so many bytes more than the folder holds."""
    room = 600_000

    def usage(_):
        used = sum(path.stat().st_size for path in tmp_path.iterdir())
        return Usage(room, used, room - used)

    monkeypatch.setattr(folder.shutil, "disk_usage", usage)
    added = 0
    with pytest.raises(OutputError, match="of free space"), PredictionsWriter(tmp_path / "p.npz") as writer:
        while True:
            writer.add(make_frame(added), [make_hand()])
            added += 1
    assert added > 20
    np.testing.assert_array_equal(load(tmp_path / "p.npz")["frame_index"], np.arange(added))
    assert (tmp_path / "p.npz").stat().st_size + added * 3000 < room  # spool and result were there together


def short_writes(writer, attribute, monkeypatch, limit):
    """The writer's file takes `limit` bytes of the next write and then has no room."""
    real = getattr(writer, attribute)

    class Full:
        closed = False

        def write(self, data):
            real.write(data[:limit])
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(real, name)

    monkeypatch.setattr(writer, attribute, Full())
    return real


@pytest.mark.parametrize(
    ("Writer", "attribute", "name"), [(PredictionsWriter, "_spool", "p.npz"), (CsvWriter, "_file", "h.csv")]
)
def test_a_full_disk_leaves_whole_rows(tmp_path, make_hand, make_frame, monkeypatch, Writer, attribute, name):
    writer = Writer(tmp_path / name)
    writer.add(make_frame(0), [make_hand()])
    with monkeypatch.context() as patch:
        short_writes(writer, attribute, patch, limit=100)
        with pytest.raises(OutputError, match="full disk"):
            writer.add(make_frame(1), [make_hand()])
    writer.add(make_frame(2), [make_hand()])
    writer.close()
    rows = (
        load(tmp_path / name)["frame_index"]
        if name == "p.npz"
        else [row["frame_index"] for row in read_csv(tmp_path / name)]
    )
    assert [int(row) for row in rows] == [0, 2]


def test_npz_that_cannot_be_assembled_keeps_its_rows(tmp_path, make_hand, make_frame, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = PredictionsWriter(tmp_path / "p.npz")
    writer.add(make_frame(3), [make_hand()])
    with monkeypatch.context() as patch:
        patch.setattr(spool.np.lib.format, "write_array_header_1_0", full)
        with pytest.raises(OutputError, match="full disk") as caught:
            writer.close()
    kept = tmp_path / "p.part.mcap"
    assert list(tmp_path.iterdir()) == [kept] and str(kept) in caught.value.hint
    with pytest.raises(OutputError, match="did not end"):
        PredictionsWriter(tmp_path / "p.npz")
    assert len(spool.finish(kept, tmp_path / "p.npz").places) == 1
    assert load(tmp_path / "p.npz")["frame_index"].tolist() == [3]


def test_a_spool_is_whole_after_every_row_and_can_be_cut_anywhere(tmp_path, make_hand, degenerate, make_frame):
    """The MCAP library reads it to its end; what a kill leaves of it gives every whole row."""
    writer = PredictionsWriter(tmp_path / "p.npz")
    kept = tmp_path / "p.part.mcap"
    sizes = []
    for index in range(4):
        writer.add(make_frame(index, name=f"größer {index}.png"), [make_hand(), degenerate])
        with open(kept, "rb") as file:
            records = list(StreamReader(file).records)
        assert isinstance(records[-1], Footer)
        assert sum(isinstance(record, Message) and record.channel_id == 3 for record in records) == 2 * (index + 1)
        sizes.append(kept.stat().st_size)
    data = kept.read_bytes()
    writer.close()
    expected = load(tmp_path / "p.npz")
    cut = tmp_path / "cut.mcap"
    for size in range(len(spool.HEAD), len(data), 397):
        cut.write_bytes(data[:size])
        found = spool.finish(cut, tmp_path / "cut.npz")
        assert not found.is_whole
        back = load(tmp_path / "cut.npz")
        rows = len(back["degenerate"])
        assert rows >= 2 * sum(whole <= size for whole in sizes)
        for name in PER_HAND:
            np.testing.assert_array_equal(back[name], expected[name][:rows])
        if rows:
            np.testing.assert_array_equal(back["faces"], expected["faces"])
            assert back["image"].tolist() == expected["image"].tolist()[:rows]


def test_a_spool_of_nonsense_is_refused(tmp_path, make_hand, make_frame):
    writer = PredictionsWriter(tmp_path / "p.npz")
    writer.add(make_frame(), [make_hand()])
    data = (tmp_path / "p.part.mcap").read_bytes()
    writer.close()
    other = tmp_path / "other.mcap"
    for content in (
        b"",
        b"\x89MCAP0\r\n",
        data[:-1].replace(b"162", b"999"),
        data.replace(b"162", b"x62"),
        data.replace(b"rows", b"\xff" * 4),
    ):
        other.write_bytes(content)
        with pytest.raises(SourceError):
            spool.finish(other, tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


def test_csv_cells(tmp_path, make_hand, degenerate, make_frame):
    hand = make_hand(centre_m=(0.01, 0.02, 0.45), distance_std=0.1)
    writer = CsvWriter(tmp_path / "hands.csv")
    writer.add(make_frame(7, name="b,c.jpg"), [hand, degenerate])
    writer.close()
    good, bad = read_csv(tmp_path / "hands.csv")
    assert tuple(good) == HEADER
    assert (good["frame_index"], good["image"], good["hand"], good["handedness"]) == ("7", "b,c.jpg", "0", "right")
    assert float(good["root_z_m"]) == pytest.approx(hand.root_m[2], abs=1e-7)
    assert float(good["root_covariance_yy_m2"]) == pytest.approx(2e-6)
    assert float(good["distance_std_m"]) == pytest.approx(distance_std_m(hand)) and distance_std_m(hand) > 0.04
    assert float(good["index_tip_x_m"]) == pytest.approx(hand.keypoints_m[8, 0], abs=1e-7)
    assert float(good["little_tip_v_px"]) == pytest.approx(hand.keypoints_px[20, 1], abs=1e-4)
    assert float(good["thumb_cmc_weight"]) == pytest.approx(hand.weights[1])
    assert bad["degenerate"] == "too few weights"
    assert (bad["root_z_m"], bad["wrist_x_m"], bad["root_covariance_xx_m2"]) == ("", "", "")
    assert bad["distance_std_m"] == ""
    assert bad["wrist_u_px"] != ""


def test_csv_of_a_run_without_hands_is_its_header(tmp_path, make_frame):
    writer = CsvWriter(tmp_path / "hands.csv")
    writer.add(make_frame(), [])
    writer.close()
    assert (tmp_path / "hands.csv").read_text() == ",".join(HEADER) + "\n"
    assert len(set(HEADER)) == len(HEADER)
