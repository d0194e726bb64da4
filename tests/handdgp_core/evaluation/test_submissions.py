"""The files that the public servers take."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import OutputError, ShapeError
from handdgp_core.evaluation.submissions import write_freihand, write_ho3d


def hands(count: int = 2) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    keypoints = [rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5] for _ in range(count)]
    return keypoints, [rng.normal(0, 0.05, (778, 3)) + [0, 0, 0.5] for _ in range(count)]


def test_freihand_lists_keypoints_then_vertices(tmp_path: Path) -> None:
    keypoints, vertices = hands()
    found = json.loads(write_freihand(tmp_path / "new" / "pred.json", keypoints, vertices).read_text())
    np.testing.assert_allclose(found[0], keypoints, atol=1e-6)
    np.testing.assert_allclose(found[1], vertices, atol=1e-6)
    assert [np.shape(part) for part in found] == [(2, 21, 3), (2, 778, 3)]


def test_ho3d_is_zipped_in_opengl_axes_and_its_own_order(tmp_path: Path) -> None:
    keypoints, vertices = hands()
    with zipfile.ZipFile(write_ho3d(tmp_path / "pred.zip", keypoints, vertices)) as archive:
        assert archive.namelist() == ["pred.json"]
        found = json.loads(archive.read("pred.json"))
    assert (np.array(found[0])[..., 2] < 0).all()
    np.testing.assert_allclose(np.array(found[1]) * [1, -1, -1], vertices, atol=1e-6)
    ours = np.array(found[0]) * [1, -1, -1]
    np.testing.assert_allclose(ours[:, 0], [k[0] for k in keypoints], atol=1e-6)  # wrist
    np.testing.assert_allclose(ours[:, 1:4], [k[5:8] for k in keypoints], atol=1e-6)  # index, without its tip
    np.testing.assert_allclose(ours[:, 7:10], [k[17:20] for k in keypoints], atol=1e-6)  # little before ring
    np.testing.assert_allclose(ours[:, 13:17], [k[1:5] for k in keypoints], atol=1e-6)  # thumb and its tip
    np.testing.assert_allclose(ours[:, 17:21], [k[[8, 12, 16, 20]] for k in keypoints], atol=1e-6)  # other tips


def test_what_a_server_would_refuse_is_not_written(tmp_path: Path) -> None:
    keypoints, vertices = hands()
    target = tmp_path / "pred.json"
    with pytest.raises(ShapeError, match="2 hands"):
        write_freihand(target, keypoints, vertices[:1])
    with pytest.raises(ShapeError, match="778"):
        write_freihand(target, keypoints, [v[:50] for v in vertices])
    keypoints[1] = np.full((21, 3), np.nan)
    with pytest.raises(ShapeError, match="first number 1"):
        write_freihand(target, keypoints, vertices)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_freihand(tmp_path / "file" / "pred.json", *hands(1))
