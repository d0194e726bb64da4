from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.synthetic.rendering.renderer import HandRenderer

pytest.importorskip("anny", reason="anny is not installed (extra train)")
from handdgp_core.synthetic import generate as generate_module
from handdgp_core.synthetic import studio as studio_module
from handdgp_core.synthetic.contact_sheet import write_contact_sheet
from handdgp_core.synthetic.generate import generate
from handdgp_core.synthetic.studio import Studio, StudioOptions

pytestmark = pytest.mark.gl
PLAIN = StudioOptions(size=160, variants=1, sleeves=2, rooms=0, texture_size=64)
BARE = StudioOptions(
    size=160, variants=1, sleeves=1, rooms=0, texture_size=64, two_hands=0.0, sleeved=0.0, occluded=0.0
)


@pytest.fixture(scope="module")
def studio(renderer_maker: type[HandRenderer]) -> Iterator[Studio]:
    with Studio(5, PLAIN) as made:
        yield made


def hand_mask(sample: LabelledHand, faces: np.ndarray) -> np.ndarray:
    """Where the labelled mesh projects to, by filling its triangles one by one."""
    assert sample.vertices_m is not None
    pixels = sample.vertices_m @ sample.matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    mask = np.zeros(sample.image.shape[:2], np.uint8)
    for triangle in np.round(pixels[faces] * 16).astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 1, cv2.LINE_8, 4)
    return mask


def test_labels_lie_on_what_was_drawn(renderer_maker: type[HandRenderer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a green screen, with no camera faults, the hand's pixels are those of the projected mesh."""
    monkeypatch.setattr(studio_module, "photograph", lambda image, source, rng: image)
    screen = np.zeros((160, 160, 3), np.float32)
    screen[..., 1] = 5.0
    with Studio(9, BARE) as studio:
        monkeypatch.setattr(studio._backdrops, "draw", lambda rng: screen)
        missed, spilled = [], []
        for number in range(12):
            sample = studio.sample(number)
            shown = (sample.image[..., 1] < 250) & (sample.image.max(axis=2) > 0)
            mask = hand_mask(sample, studio.hand.faces)
            inside = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0  # the film is a little soft
            seen = sample.image.max(axis=2) > 0  # black: beyond the camera's own picture
            missed.append(1 - shown[inside & seen].mean())
            around = cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0
            spilled.append((shown & ~around & nearer_to_a_finger(sample)).mean())
    assert max(missed) < 0.02
    assert np.quantile(spilled, 0.75) < 2e-4  # in some pictures the forearm shows behind bent fingers


def nearer_to_a_finger(sample: LabelledHand) -> np.ndarray:
    """Pixels whose nearest keypoint is neither the wrist nor a thumb's base: no forearm there."""
    row, column = np.mgrid[: len(sample.image), : len(sample.image)]
    pixels = sample.keypoints_m @ sample.matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    distance = np.hypot(column[..., None] - pixels[:, 0], row[..., None] - pixels[:, 1])
    return np.isin(distance.argmin(axis=-1), [7, 8, 11, 12, 15, 16, 19, 20]) & (distance.min(axis=-1) < 12)


def test_a_picture_follows_from_seed_and_number_alone(studio: Studio) -> None:
    first = studio.sample(3)
    for other in (7, 1):
        studio.sample(other)
    again = studio.sample(3)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.keypoints_m, again.keypoints_m)


def test_labels_are_whole_and_keypoints_follow_from_the_mesh(studio: Studio) -> None:
    tones, sides = set(), set()
    for number in range(16):
        sample = studio.sample(number)
        tones.add(sample.skin_tone)
        sides.add(sample.handedness)
        assert sample.vertices_m is not None and sample.occlusion is not None
        regressed = studio.hand.keypoint_regressor @ sample.vertices_m
        np.testing.assert_allclose(regressed, sample.keypoints_m, atol=1e-6)
        assert (sample.keypoints_m[:, 2] > 0.05).all()
        assert sample.occlusion.shape == (21,) and sample.occlusion.max() <= 3
        assert 0.1 < np.linalg.norm(sample.keypoints_m.mean(axis=0)) < 1.7
    assert len(tones) > 4 and sides == {"left", "right"}


def test_a_place_that_no_flat_picture_holds_is_drawn_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand so near and so far aside that its square takes half of all directions; once in 30,000 pictures."""
    look, refused = studio._view, []

    def view(camera: Camera, keypoints: np.ndarray) -> Rectification:
        if not refused:
            refused.append(camera)
            raise UsageError("A crop of 540 px takes half of all directions.")
        return look(camera, keypoints)

    monkeypatch.setattr(studio, "_view", view)
    sample = studio.sample(3)
    assert len(refused) == 1
    assert sample.image.shape[2] == 3 and np.isfinite(sample.keypoints_m).all()


class Small:
    """`Studio` with small pictures."""

    def __new__(cls, seed: int) -> Studio:
        return Studio(seed, PLAIN)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, renderer_maker: type[HandRenderer]) -> None:
    monkeypatch.setattr(generate_module, "SHARD_SIZE", 2)
    monkeypatch.setattr(generate_module, "Studio", Small)


def test_a_stopped_run_goes_on_and_gives_the_same_files(few: None, tmp_path: Path) -> None:
    whole = generate(tmp_path / "whole", 4, 5, 1, lambda done, total: None)
    assert (whole.made, whole.kept, whole.finished) == (4, 0, True)
    stop = threading.Event()

    def stop_after_the_first(done: int, total: int) -> None:
        if done == 2:
            stop.set()

    part = generate(tmp_path / "part", 4, 5, 1, stop_after_the_first, stop)
    assert (part.made, part.finished) == (2, False)
    assert not list((tmp_path / "part").glob("*.part*"))
    rest = generate(tmp_path / "part", 4, 5, 1, lambda done, total: None)
    assert (rest.made, rest.kept, rest.finished) == (2, 2, True)
    for name in ("shard-00000.jpgs", "shard-00001.jpgs", "shard-00001.npy"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    shards = Shards(tmp_path / "whole")
    assert len(shards) == 4 and shards[0].skin_tone > 0 and shards[3].occlusion is not None
    write_contact_sheet(shards, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (180, 1800, 3)


def test_shards_of_another_seed_and_impossible_wishes_are_refused(few: None, tmp_path: Path) -> None:
    generate(tmp_path / "s", 2, 5, 1, lambda done, total: None)
    with pytest.raises(DatasetError, match="seed 5"):
        generate(tmp_path / "s", 2, 6, 1, lambda done, total: None)
    with pytest.raises(UsageError, match="count 0"):
        generate(tmp_path / "t", 0, 6, 1, lambda done, total: None)
