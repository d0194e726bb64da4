"""MANO and SMPL from the user's files, with files of the same layout made from other meshes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed import body, mano
from handdgp_core.hands.licensed.user_models import models_folder
from tests.handdgp_core.hands.model_files import linear_model, write_old_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDDGP_MODELS", str(tmp_path))
    return tmp_path


def test_mano_template(models: Path) -> None:
    model = linear_model(778, 16)
    write_old_model(models / "MANO_RIGHT.pkl", model)
    template = mano.mano_template(cache=False)
    assert (template.name, template.vertex_count, template.keypoint_count) == ("mano", 778, 21)
    np.testing.assert_array_equal(template.faces, model["f"])
    joints = model["J_regressor"].toarray() @ model["v_template"]
    keypoints = template.keypoint_regressor @ model["v_template"]
    # FreiHAND's order from MANO's: wrist, then thumb, index, middle, ring, little.
    np.testing.assert_allclose(keypoints[0], joints[0])
    for finger, first in enumerate((13, 1, 4, 10, 7)):
        np.testing.assert_allclose(keypoints[1 + 4 * finger : 4 + 4 * finger], joints[first : first + 3])
        tip = 4 + 4 * finger
        np.testing.assert_allclose(keypoints[tip], model["v_template"][mano.TIP_VERTICES[tip]])
    np.testing.assert_allclose(template.keypoint_regressor.sum(axis=1), 1)


def test_a_file_or_a_folder_can_be_named(models: Path) -> None:
    (models / "elsewhere").mkdir()
    file = models / "elsewhere" / "MANO_RIGHT.pkl"
    write_old_model(file, linear_model(778, 16))
    assert mano.read_mano(file).file == file
    assert mano.read_mano(file.parent).file == file
    with pytest.raises(AssetError):
        mano.read_mano(file.parent, "left")


def test_missing_files_say_where_to_get_them_and_where_to_put_them(models: Path) -> None:
    for read, name, site in [
        (mano.read_mano, "MANO_RIGHT.pkl", "mano.is.tue.mpg.de"),
        (body.body_template, "SMPL_NEUTRAL.pkl", "smpl.is.tue.mpg.de"),
    ]:
        with pytest.raises(AssetError) as caught:
            read()
        assert str(models / name) in caught.value.problem
        assert site in caught.value.hint and str(models_folder()) in caught.value.hint


def test_files_of_another_layout_are_refused(models: Path) -> None:
    whole = linear_model(778, 16)
    file = models / "MANO_RIGHT.pkl"
    bad_faces = whole["f"].copy()
    bad_faces[0, 0] = 778
    for change, words in [
        ({"f": np.zeros((5, 4))}, "faces"),
        ({"f": bad_faces}, "beyond its 778 vertices"),
        ({"J_regressor": np.zeros((15, 778))}, r"joint regressor of shape \(15, 778\)"),
        ({"v_template": np.zeros((778, 2))}, "vertices"),
        ({"v_template": "text"}, "not arrays"),
    ]:
        file.write_bytes(pickle.dumps({**whole, **change}))
        with pytest.raises(AssetError, match=words):
            mano.read_mano()
    file.write_bytes(pickle.dumps({key: value for key, value in whole.items() if key != "f"}))
    with pytest.raises(AssetError, match="has no f"):
        mano.read_mano()
    file.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(AssetError, match="instead of a dictionary"):
        mano.read_mano()


def test_smplx_poses_the_file(models: Path) -> None:
    pytest.importorskip("smplx")
    import torch

    model = linear_model(778, 16)
    write_old_model(models / "MANO_RIGHT.pkl", model)
    layer = mano.mano_layer(use_pca=False, flat_hand_mean=True)
    rest = layer(global_orient=torch.zeros(1, 3), hand_pose=torch.zeros(1, 45), betas=torch.zeros(1, 10))
    np.testing.assert_allclose(rest.vertices[0].detach().numpy(), model["v_template"], atol=1e-6)
    shaped = layer(global_orient=torch.zeros(1, 3), hand_pose=torch.zeros(1, 45), betas=torch.eye(10)[2:3])
    expected = model["v_template"] + model["shapedirs"][..., 2]
    np.testing.assert_allclose(shaped.vertices[0].detach().numpy(), expected, atol=1e-6)


def test_models_are_posed_without_a_word(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """smplx prints "You are using a MANO model", for bodies too."""
    pytest.importorskip("smplx")
    from handdgp_core.datasets.parametric_meshes import mano_mesh, smpl_mesh

    write_old_model(models / "MANO_RIGHT.pkl", linear_model(778, 16))
    write_old_model(models / "SMPL_NEUTRAL.pkl", linear_model(6890, 24))
    for mesh, numbers, vertices in ((mano_mesh(), 48, 778), (smpl_mesh(), 72, 6890)):
        assert mesh(np.zeros(numbers), np.zeros(10), np.zeros(3)).shape == (vertices, 3)
    assert not "".join(capfd.readouterr())


def test_body_template(models: Path) -> None:
    model = linear_model(6890, 24)
    write_old_model(models / "SMPL_NEUTRAL.pkl", model)
    template = body.body_template(cache=False)
    assert (template.name, template.vertex_count, template.keypoint_count) == ("body", 6890, 29)
    keypoints = template.keypoint_regressor @ model["v_template"]
    np.testing.assert_allclose(keypoints[:24], model["J"])
    np.testing.assert_allclose(keypoints[24:], model["v_template"][list(body.FACE_VERTICES)])
    assert [len(level.vertices) for level in template.levels] == pytest.approx([6890, 3445, 1722, 861, 431], rel=0.03)


def test_a_hand_is_no_body(models: Path) -> None:
    write_old_model(models / "SMPL_NEUTRAL.pkl", linear_model(778, 16))
    with pytest.raises(AssetError, match="24 joints and 6890 vertices"):
        body.body_template(cache=False)
