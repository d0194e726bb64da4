"""Synthetic shards: what is written comes back, a stopped writer goes on, damage is named; and the order of reading."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from handdgp_core.augmentation import ViewPairs
from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand, unknown_keypoints
from handdgp_core.datasets.sampling import BlockShuffle
from handdgp_core.datasets.shards import ShardInfo, Shards, ShardWriter
from handdgp_core.errors import OutputError, ShapeError, UsageError

INFO = ShardInfo(vertices=50, origin="a test")


def hand(number: int) -> LabelledHand:
    rng = np.random.default_rng(number)
    image = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (48, 40), interpolation=cv2.INTER_CUBIC)
    matrix = np.array([[60.0 + number, 0, 24], [0, 60, 20], [0, 0, 1]])
    keypoints = rng.normal(0, 0.04, (21, 3)) + [0, 0, 0.5]
    vertices = keypoints[0] + rng.normal(0, 0.08, (50, 3))
    return LabelledHand(image, matrix, keypoints, vertices, "left" if number % 3 == 0 else "right")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    writer = ShardWriter(tmp_path / "shards", INFO)
    for shard in range(3):
        writer.write(shard, (hand(4 * shard + i) for i in range(4)))
    return tmp_path / "shards"


def test_what_is_written_comes_back_in_order(shards: Path) -> None:
    hands = Shards(shards)
    assert (len(hands), hands.lengths, hands.info) == (12, [4, 4, 4], INFO)
    for number in range(12):
        wanted, found = hand(number), hands[number]
        np.testing.assert_allclose(found.matrix, wanted.matrix, rtol=1e-6)
        np.testing.assert_allclose(found.keypoints_m, wanted.keypoints_m, atol=1e-7)
        assert found.vertices_m is not None
        np.testing.assert_allclose(found.vertices_m, wanted.vertices_m, atol=1e-4)  # half floats: 0.1 mm
        assert found.handedness == wanted.handedness
        assert np.abs(found.image.astype(int) - wanted.image).mean() < 4  # JPEG, red still red
    np.testing.assert_array_equal(hands[-1].image, hands[11].image)


def test_a_stopped_writer_goes_on_with_the_shard_it_was_at(tmp_path: Path) -> None:
    def cut_off() -> object:
        yield hand(0)
        raise KeyboardInterrupt

    writer = ShardWriter(tmp_path, INFO)
    writer.write(0, [hand(0)])
    with pytest.raises(KeyboardInterrupt):
        writer.write(1, cut_off())
    again = ShardWriter(tmp_path, INFO)
    assert again.finished == {0}
    assert not list(tmp_path.glob("*.part*"))
    again.write(1, [hand(1), hand(2)])
    assert len(Shards(tmp_path)) == 3


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        ShardWriter(tmp_path / name, INFO).write(0, [hand(i) for i in range(3)])
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1]


def test_shards_of_bodies_and_without_mesh(tmp_path: Path) -> None:
    source = hand(1)
    bare = LabelledHand(source.image, source.matrix, np.tile(source.keypoints_m, (2, 1))[:29])
    ShardWriter(tmp_path, ShardInfo(vertices=0, keypoints=29, mesh="none")).write(0, [bare])
    found = Shards(tmp_path)[0]
    assert found.vertices_m is None
    assert found.keypoints_m.shape == (29, 3)


def test_damage_is_named(shards: Path) -> None:
    pictures = shards / "shard-00001.jpgs"
    whole = pictures.read_bytes()
    pictures.write_bytes(whole[:-10])
    with pytest.raises(DatasetError, match=r"shard-00001\.jpgs.*bytes"):
        Shards(shards)
    pictures.write_bytes(bytes(len(whole)))
    with pytest.raises(DatasetError, match=r"shard-00001\.jpgs.*no picture"):
        Shards(shards)[5]
    pictures.unlink()
    with pytest.raises(DatasetError, match=r"shard-00001\.jpgs.*missing"):
        Shards(shards)
    (shards / "shard-00001.npy").unlink()
    with pytest.raises(DatasetError, match=r"shard-00001\.npy.*missing"):
        Shards(shards)
    last = shards / "shard-00002.npy"
    last.rename(shards / "shard-00001.npy")
    (shards / "shard-00001.npy").write_bytes((shards / "shard-00001.npy").read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"shard-00001\.npy"):
        Shards(shards)


def test_folders_of_another_form_are_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="empty folder"):
        ShardWriter(shards, ShardInfo(vertices=60))
    content = json.loads((shards / "shards.json").read_text())
    (shards / "shards.json").write_text(json.dumps(content | {"version": 3}))
    with pytest.raises(DatasetError, match="version"):
        Shards(shards)
    (shards / "shards.json").write_text("{")
    with pytest.raises(DatasetError, match=r"Could not read .*shards\.json"):
        Shards(shards)
    ShardWriter(tmp_path / "empty", INFO)
    with pytest.raises(DatasetError, match=r"shard-00000\.npy.*synth"):
        Shards(tmp_path / "empty")


def test_samples_of_another_form_are_refused(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "s", INFO)
    known = hand(0)
    for wrong in (
        LabelledHand(known.image, known.matrix, known.keypoints_m),
        LabelledHand(known.image, known.matrix, unknown_keypoints(), known.vertices_m),
    ):
        with pytest.raises(ShapeError, match="50 vertices and 21 known"):
            writer.write(0, [wrong])
    assert not writer.finished
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        ShardWriter(tmp_path / "file", INFO)


def test_loader_processes_open_their_own_maps(shards: Path) -> None:
    hands = Shards(shards)
    _ = hands[3]
    assert len(pickle.dumps(hands)) < 5000  # no picture travels
    sampler = BlockShuffle(hands.lengths, seed=5, window=2)
    loader = DataLoader(ViewPairs(hands, 50), batch_size=4, sampler=sampler, num_workers=2)
    found = [index for batch in loader for index in batch["index"].tolist()]
    assert found == sampler.order(0).tolist()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 99), st.integers(1, 4), st.integers(1, 3))
def test_an_epoch_holds_every_sample_once(lengths: list[int], seed: int, window: int, ranks: int) -> None:
    count = sum(lengths)
    if count < ranks:
        return
    samplers = [BlockShuffle(lengths, seed, window=window, rank=rank, ranks=ranks) for rank in range(ranks)]
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {count // ranks} == {len(sampler) for sampler in samplers}
    together = sorted(index for part in parts for index in part)
    assert len(set(together)) == len(together) == count - count % ranks
    assert set(together) <= set(range(count))


def test_orders_repeat_differ_by_epoch_and_stay_within_their_window() -> None:
    sampler = BlockShuffle([10] * 8, seed=1, window=2)
    first = list(sampler)
    assert first == list(BlockShuffle([10] * 8, seed=1, window=2))
    sampler.set_epoch(1)
    assert list(sampler) != first
    for start in range(0, 80, 20):
        assert len({index // 10 for index in first[start : start + 20]}) == 2
    assert first[:20] != sorted(first[:20])
    assert list(BlockShuffle([3, 4], shuffle=False)) == list(range(7))


def test_an_epoch_goes_on_where_it_stopped() -> None:
    whole = BlockShuffle([10, 10], seed=3)
    whole.set_epoch(4)
    resumed = BlockShuffle([10, 10], seed=3)
    resumed.resume(epoch=4, done=7)
    assert list(resumed) == list(whole)[7:]
    resumed.set_epoch(5)
    assert len(list(resumed)) == 20
    with pytest.raises(UsageError):
        BlockShuffle([1], ranks=2)
    with pytest.raises(UsageError):
        BlockShuffle([5], rank=2, ranks=2)
