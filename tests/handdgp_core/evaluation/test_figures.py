"""Figures of several methods: the samples, results of other programs, what the drawing shows, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.drawing.comparison import METHOD_COLOURS, MethodHand, Sample, draw_comparison
from handdgp_core.drawing.scene import Extent, tube
from handdgp_core.drawing.tiles import Tile
from handdgp_core.errors import SourceError
from handdgp_core.evaluation.figures import spread_indices
from handdgp_core.evaluation.result_files import ResultFile
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import with_camera
from handdgp_core.types import Frame, Hand
from tests.meshes import ball
from tests.painted_hand import paint_hand

CAMERA = Camera.assumed(640, 480, 60)
SIZE = 96


@pytest.fixture(scope="module")
def picture() -> tuple[np.ndarray, np.ndarray]:
    return paint_hand(CAMERA, "right", (0.0, 0.09, 0.42))


def hand_at(keypoints_m: np.ndarray, shift_m: float = 0.0, with_mesh: bool = True) -> Hand:
    moved = keypoints_m + [0.0, 0.0, shift_m]
    vertices, faces = ball(2, 0.05)
    return Hand(
        handedness="right",
        score=1.0,
        vertices_m=vertices + moved.mean(axis=0),
        keypoints_m=moved,
        keypoints_px=CAMERA.project(keypoints_m),
        weights=np.linspace(0.1, 1.0, 21),
        root_m=moved[0],
        root_covariance_m2=np.eye(3) * 1e-6,
        hand_scale=1.0,
        faces=faces if with_mesh else np.empty((0, 3), np.int32),
    )


def near(image: np.ndarray, colour: tuple[int, int, int], tolerance: int = 40) -> int:
    return int((np.abs(image.astype(int) - colour).max(axis=-1) < tolerance).sum())


def tile_of(grid: np.ndarray, row: int, column: int) -> np.ndarray:
    step = SIZE + 6
    return grid[row * step : row * step + SIZE, column * step : column * step + SIZE]


def test_every_method_has_its_own_colour_and_the_true_root_is_red(picture) -> None:
    image, keypoints_m = picture
    methods = [
        MethodHand("ours", hand_at(keypoints_m)),
        MethodHand("theirs", hand_at(keypoints_m, 0.1), has_weights=False),
        MethodHand("blind", None),
    ]
    grid = draw_comparison(Sample(image, CAMERA, methods, keypoints_m), SIZE)
    step = SIZE + 6
    assert grid.shape == (4 * step - 6, 4 * step - 6, 3) and grid.dtype == np.uint8
    from_left = tile_of(grid, 3, 0)
    for colour in (METHOD_COLOURS[0], METHOD_COLOURS[1], (225, 60, 60)):
        assert near(from_left, colour, 60) > 5
    assert near(from_left, METHOD_COLOURS[2]) == 0  # found nothing
    np.testing.assert_array_equal(tile_of(grid, 0, 3)[30:], tile_of(grid, 1, 0)[30:])  # nothing drawn over the image
    assert (tile_of(grid, 3, 3) == tile_of(grid, 3, 3)[0, 0]).all()  # three views, four columns


def test_a_hand_off_in_depth_is_seen_off_from_the_side_and_not_from_the_front(picture) -> None:
    image, keypoints_m = picture
    sample = Sample(image, CAMERA, [MethodHand("far", hand_at(keypoints_m, 0.15))], keypoints_m)
    assert sample.true_root_m is not None
    side = tile_of(draw_comparison(sample, SIZE), 3, 0)
    red = np.argwhere(np.abs(side.astype(int) - (225, 60, 60)).max(axis=-1) < 60)
    blue = np.argwhere(np.abs(side.astype(int) - METHOD_COLOURS[0]).max(axis=-1) < 60)
    assert abs(red[:, 1].mean() - blue[:, 1].mean()) > SIZE / 8


def test_without_truth_or_mesh_the_figure_still_shows_the_skeleton(picture) -> None:
    image, keypoints_m = picture
    unplaced = replace(hand_at(keypoints_m), degenerate="depth is not determined")
    methods = [MethodHand("bones", hand_at(keypoints_m, with_mesh=False)), MethodHand("lost", unplaced)]
    grid = draw_comparison(Sample(image, CAMERA, methods), SIZE)
    assert near(tile_of(grid, 3, 1), METHOD_COLOURS[0], 80) > 20
    assert near(tile_of(grid, 0, 1), METHOD_COLOURS[0]) > 10
    nothing = draw_comparison(Sample(image, CAMERA, [MethodHand("lost", None)]), SIZE)
    assert (tile_of(nothing, 3, 0) == tile_of(nothing, 3, 0)[0, 0]).all()


def test_low_weights_are_drawn_darker(picture) -> None:
    image, keypoints_m = picture
    tile = Tile.around(np.full_like(image, 200), CAMERA.project(keypoints_m), 400)
    weights = np.ones(21)
    weights[8] = 0.0
    tile.paint_weights(CAMERA.project(keypoints_m), weights)
    places = np.round(CAMERA.project(keypoints_m) * tile.zoom + tile.shift).astype(int)
    brightness = tile.pixels[places[:, 1], places[:, 0]].astype(int).sum(axis=1)
    assert brightness[8] < 0.6 * brightness[4]


def test_a_cut_maps_pixels_where_it_draws_them_also_through_a_lens(picture) -> None:
    _, keypoints_m = picture
    bent = Camera(640, 480, CAMERA.matrix, (-0.25, 0.05, 0, 0, 0))
    image = np.zeros((480, 640, 3), np.uint8)
    x, y = np.round(bent.project(keypoints_m)[12]).astype(int)
    image[y, x] = 255
    tile = Tile.around(image, bent.project(keypoints_m), 300)
    brightest = np.unravel_index(tile.pixels.sum(axis=-1).argmax(), (300, 300))[::-1]
    np.testing.assert_allclose(brightest, np.array([x, y]) * tile.zoom + tile.shift, atol=1.0)
    tile.paint_surface(bent, ball(2, 0.004)[0] + keypoints_m[12], ball(2, 0.004)[1], (0, 0, 255), 1.0)
    blue = np.argwhere((tile.pixels[..., 2] > 100) & (tile.pixels[..., 0] < 100))[:, ::-1]
    np.testing.assert_allclose(blue.mean(axis=0), np.array([x, y]) * tile.zoom + tile.shift, atol=2.5)


def test_marks_grow_with_the_scene_and_tubes_have_outward_faces() -> None:
    near_by, far = (Extent.of(np.array([[0.0, 0, 0], [side, 0, 0]])) for side in (0.2, 2.0))
    sizes = [np.ptp(extent.mark(np.zeros(3), (1, 2, 3)).vertices_m[:, 0]) for extent in (near_by, far)]
    assert sizes[1] > 5 * sizes[0]  # a body at 5 m gets marks to be seen
    item = tube(np.zeros(3), np.array([0.0, 0.1, 0.0]), 0.01, (1, 2, 3))
    corners = item.vertices_m[item.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = corners.mean(axis=1) - [0.0, 0.05, 0.0]
    outward[:, 1] = 0
    assert ((normals * outward).sum(axis=1) > 0).all()


def test_frames_are_spread_evenly() -> None:
    assert sorted(spread_indices(4, 100)) == [12, 37, 62, 87]
    assert spread_indices(5, 2) == {0, 1} and spread_indices(1, 1) == {0}


def frame_of(image: np.ndarray, index: int, name: str | None = None):
    return with_camera(Frame(image, index, index, name), CAMERA)


def test_results_of_other_programs_become_hands(picture, tmp_path: Path) -> None:
    image, keypoints_m = picture
    np.savez(
        tmp_path / "a.npz", keypoints_m=keypoints_m[None], handedness=np.array(["right"]), image=np.array(["b.png"])
    )
    theirs = ResultFile("theirs", tmp_path / "a.npz")
    assert not theirs.has_weights and theirs.hands(frame_of(image, 0, "a.png")) == []
    hand = theirs.hands(frame_of(image, 7, "b.png"))[0]
    np.testing.assert_allclose(hand.keypoints_px, CAMERA.project(keypoints_m))
    np.testing.assert_array_equal(hand.root_m, keypoints_m[0])
    assert len(hand.faces) == 0 and hand.degenerate is None
    content = [np.stack([keypoints_m, keypoints_m + 1]).tolist(), np.zeros((2, 778, 3)).tolist()]
    (tmp_path / "pred.json").write_text(json.dumps(content))
    submitted = ResultFile("frei", tmp_path / "pred.json").hands(frame_of(image, 1))
    assert submitted[0].handedness == "right"
    np.testing.assert_allclose(submitted[0].keypoints_m, keypoints_m + 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keypoints_m": np.zeros((1, 20, 3))}, "keypoints_m must be numbers of shape"),
        ({"handedness": np.array(["up"])}, "left or right"),
        ({"image": np.array(["a", "b"])}, "2 rows"),
        ({"vertices_m": np.zeros((1, 4, 3)), "faces": np.array([[0, 1, 4]])}, "vertices that are not there"),
        ({"vertices_m": np.zeros((1, 4))}, "vertices_m must be"),
        ({"weights": np.zeros((1, 3))}, "weights must be"),
    ],
)
def test_results_of_another_form_are_refused(change, words: str, tmp_path: Path) -> None:
    good = {"keypoints_m": np.zeros((1, 21, 3)), "handedness": np.array(["left"]), "image": np.array(["a"])}
    np.savez(tmp_path / "bad.npz", **{**good, **change})
    with pytest.raises(SourceError, match=words):
        ResultFile("bad", tmp_path / "bad.npz")


@pytest.mark.parametrize("content", ["{}", "[[1], [2, 3]]", "[[[1]], [[2]]]", "no json"])
def test_a_json_of_another_form_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(SourceError, match=r"bad\.json"):
        ResultFile("bad", tmp_path / "bad.json")
    with pytest.raises(SourceError, match="no file"):
        ResultFile("none", tmp_path / "none.npz")


def test_the_command_draws_models_and_results_side_by_side(picture, tmp_path: Path) -> None:
    image, keypoints_m = picture
    source = tmp_path / "images"
    source.mkdir()
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(source / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    np.savez(
        source / "annotations.npz",
        image=np.array(["0.png", "1.png"]),
        intrinsics=np.repeat(CAMERA.matrix[None], 2, axis=0),
        keypoints_m=np.repeat(keypoints_m[None], 2, axis=0),
        handedness=np.array(["right"] * 2),
    )
    theirs = tmp_path / "theirs.npz"
    np.savez(theirs, keypoints_m=keypoints_m[None] * 1.1, handedness=np.array(["right"]), image=np.array(["1.png"]))
    out = tmp_path / "out"
    arguments = ["figures", str(source), "--output", str(out), "--model", "open", "--results", f"far={theirs}"]
    assert main([*arguments, "--size", "96"]) == DONE
    about = json.loads((out / "figures.json").read_text())["figures"]
    assert [entry["image"] for entry in about] == ["0.png", "1.png"]
    assert about[0]["root_m"]["far"] is None  # no result for that image, and no other image's in its place
    expected_mm = 100 * float(np.linalg.norm(keypoints_m[0]))
    assert about[1]["root_error_mm"]["far"] == pytest.approx(expected_mm, rel=1e-6)
    assert about[1]["root_error_mm"]["open"] < expected_mm
    drawn = cv2.imread(str(out / about[1]["file"]))
    assert drawn.shape == (4 * 102 - 6, 3 * 102 - 6, 3)


def test_what_the_command_cannot_do_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--output", str(tmp_path / "out")]
    for arguments, words in (
        (["--frames", "a"], "no list of frame numbers"),
        (["--frames", "100000"], "no frame 100000"),
        (["--results", "x.npz"], "not NAME=FILE"),
        (["--model", "open"] * 5, "at most 4 methods"),
    ):
        assert main(["figures", "demo", *out, *arguments]) == BAD_INPUT
        assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
