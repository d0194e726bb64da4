"""Stand-ins, samples for figures, the figures themselves, and the report around them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.drawing.examples import Example, Examples
from handdgp_core.drawing.qualitative import draw_example
from handdgp_core.errors import OutputError, ShapeError
from handdgp_core.evaluation.report import write_report
from handdgp_core.evaluation.stand_ins import with_stand_ins
from handdgp_core.evaluation.summary import Pairs, summarise
from handdgp_core.geometry.camera import Camera
from tests.meshes import ball

BLUE, RED = 2, 0


def pairs(with_mesh: bool = True, count: int = 12) -> Pairs:
    rng, found = np.random.default_rng(0), Pairs()
    for number in range(count):
        true = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.3 + 0.05 * number]
        mesh = rng.normal(0, 0.05, (40, 3)) + true[0] if with_mesh else None
        joints = None if number == 3 else true + rng.normal(0, 0.01, true.shape)
        found.add(true, joints, joints is not None, mesh, None if mesh is None or joints is None else mesh + 0.002)
    return found


def example(true_root_m: np.ndarray | None = None) -> Example:
    vertices, faces = ball(2, 0.06)
    root = np.array([0.0, 0.0, 0.5])
    pixels = np.full((21, 2), 100.0) + np.arange(42).reshape(21, 2)
    return Example(
        np.full((240, 320, 3), 90, np.uint8),
        Camera(320, 240, np.array([[400.0, 0, 159.5], [0, 400, 119.5], [0, 0, 1]])),
        faces,
        vertices + root,
        root,
        np.full(3, np.nan) if true_root_m is None else true_root_m,
        pixels,
        np.linspace(0.1, 1, 21),
    )


def test_a_report_is_one_page_that_needs_no_other_and_the_same_figures(tmp_path: Path) -> None:
    results = {method: summarise(pairs(), excluded=()) for method in ("published", "refined")}
    page = write_report(tmp_path / "new", {"data set": "a <b> & c"}, results, [("one", draw_example(example(), 80))])
    text = page.read_text()
    assert "a &lt;b&gt; &amp; c" in text and "<b>" not in text
    assert not any(part in text for part in ('href="http', 'src="http', "<script", "<link", "@import", "url(http"))
    assert (
        "refined: 11 of 12 hands found" in text
        and "<th>published</th>" in text
        and text.count("data:image/") == 1
        and "<svg" in text
    )
    content = json.loads((tmp_path / "new" / "report.json").read_text())
    wanted = results["refined"]["camera_space_mm"]["mean"]
    assert content["positioning"]["refined"]["camera_space_mm"]["mean"] == pytest.approx(wanted)
    assert f"{wanted:.1f} / " in text
    assert not list((tmp_path / "new").glob(".*"))


def test_a_report_of_nothing_has_no_plots_and_no_figure(tmp_path: Path) -> None:
    empty = Pairs()
    empty.add(np.ones((21, 3)), None)
    page = write_report(tmp_path, {"data set": "none"}, {"refined": summarise(empty)})
    text = page.read_text()
    assert "0 of 1 hands" in text and "<svg" not in text and "nan" not in text.lower()
    json.loads((tmp_path / "report.json").read_text())


def test_names_and_captions_are_text_and_no_markup(tmp_path: Path) -> None:
    drawn = draw_example(example(), 80)
    page = write_report(tmp_path, {"data set": "<i>"}, {"<u>": summarise(pairs())}, [("<s>", drawn)])
    text = page.read_text()
    assert not any(tag in text for tag in ("<i>", "<u>", "<s>")) and text.count("&lt;u&gt;") >= 3
    assert "without joints 0" in text


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file at"):
        write_report(tmp_path / "file" / "inside", {}, {"refined": summarise(pairs())})


def test_figures_show_the_predicted_and_the_true_root() -> None:
    size = 120
    alone = draw_example(example(), size)
    assert alone.shape == (size, 5 * (size + 6) - 6, 3) and alone.dtype == np.uint8
    image, projected = alone[:, :size], alone[:, size + 6 : 2 * size + 6]
    assert (image == 90).all() or np.ptp(image[image.sum(-1) > 0]) < 30  # the bare picture
    painted = (projected[..., BLUE].astype(int) - projected[..., RED]) > 40
    assert 0.15 < painted.mean() < 0.9
    scenes = slice(2 * (size + 6), None)
    both = draw_example(example(np.array([0.0, 0.0, 0.65])), size)

    def red(figure: np.ndarray) -> int:
        return int(((figure[:, scenes, RED].astype(int) - figure[:, scenes, BLUE]) > 80).sum())

    assert red(alone) == 0 and red(both) > 30


def test_samples_are_spread_over_the_data_set_and_unplaced_ones_are_passed_over() -> None:
    examples, chosen = Examples(4), []
    for index in range(100):
        if examples.wants(index, 100):
            chosen.append(index)
            bad = index == 0
            examples.add(replace(example(), root_m=np.full(3, np.nan)) if bad else example())
    assert len(examples.kept) == 4 and chosen[0] == 0 and chosen[1] == 1
    assert all(30 > b - a > 20 for a, b in pairwise(chosen[2:]))
    assert not Examples(0).wants(0, 100)


def test_stand_ins_are_the_nearest_placed_hand_before() -> None:
    rng, found = np.random.default_rng(0), Pairs()
    hands = [rng.normal(size=(21, 3)) for _ in range(5)]
    for number, hand in enumerate(hands):
        lost = number in (0, 3)
        found.add(hand, np.full((21, 3), np.nan) if lost else hand, None, hand, None if lost else hand + number)
    keypoints, vertices, replaced = with_stand_ins(found)
    assert replaced == 2 and [next(i for i, h in enumerate(hands) if np.array_equal(h, k)) for k in keypoints] == [
        1, 1, 2, 2, 4,
    ]  # fmt: skip
    np.testing.assert_array_equal(vertices[3], hands[2] + 2)
    nothing = Pairs()
    nothing.add(hands[0], None)
    with pytest.raises(ShapeError, match="None of the"):
        with_stand_ins(nothing)


def test_hands_are_sorted_by_how_they_face_the_camera() -> None:
    flat = np.zeros((21, 3))
    flat[[0, 5, 9, 17]] = [[0, 0.05, 0], [-0.03, -0.03, 0], [0, -0.04, 0], [0.03, -0.02, 0]]
    found = Pairs()
    for degrees in (0, 10, 45, 90):
        turned = flat @ Rotation.from_euler("y", degrees, degrees=True).as_matrix() + [0, 0, 0.5]
        found.add(turned, turned + [0, 0, 1e-3 * degrees], True)
    by_view = summarise(found, excluded=())["camera_space_mm_by_view"]
    assert {key: row["count"] for key, row in by_view.items()} == {"0-30 deg": 2, "30-60 deg": 1, "60-90 deg": 1}
    assert by_view["60-90 deg"]["mean"] == pytest.approx(90.0)
