"""Files in the layout of MANO and SMPL, made from other meshes, as Python 2 with chumpy would have written them."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix

from tests.meshes import round_mesh


class Ch:
    """What the retired package calls an array: its numbers are in `x`."""

    def __init__(self, x: Any) -> None:
        self.x = x


class Select:
    """Entries `idxs` of another of its arrays, in a shape."""

    def __init__(self, a: Ch, idxs: Any, preferred_shape: tuple[int, ...]) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


@contextmanager
def chumpy_installed() -> Iterator[None]:
    """Pickle `Ch` and `Select` under chumpy's names."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    modules["chumpy.ch"].Ch = Ch
    modules["chumpy.reordering"].Select = Select
    before = {kind: kind.__module__ for kind in (Ch, Select)}
    Ch.__module__, Select.__module__ = "chumpy.ch", "chumpy.reordering"
    sys.modules.update(modules)
    try:
        yield
    finally:
        for kind, module in before.items():
            kind.__module__ = module
        for name in modules:
            del sys.modules[name]


def linear_model(vertex_count: int, joint_count: int, seed: int = 0) -> dict[str, Any]:
    """The arrays of a model in the layout of MANO and SMPL."""
    rng = np.random.default_rng(seed)
    vertices, faces = round_mesh(vertex_count, seed)
    regressor = np.zeros((joint_count, vertex_count))
    for row in range(joint_count):
        regressor[row, rng.choice(vertex_count, 4, replace=False)] = 0.25
    shapes = rng.normal(0, 1e-3, (vertex_count, 3, 10))
    skinning = rng.dirichlet(np.ones(joint_count), vertex_count)
    pose_count = 3 * (joint_count - 1)
    return {
        "v_template": vertices,
        "f": faces.astype(np.uint32),
        "J_regressor": csc_matrix(regressor),
        "J": regressor @ vertices,
        "shapedirs": shapes,
        "posedirs": rng.normal(0, 1e-4, (vertex_count, 3, 9 * (joint_count - 1))),
        "weights": skinning,
        "kintree_table": np.array([[2**32 - 1, *range(joint_count - 1)], range(joint_count)], dtype=np.int64),
        "hands_components": np.eye(pose_count),
        "hands_mean": np.zeros(pose_count),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }


def write_old_model(file: Path, model: dict[str, Any], protocol: int = 2) -> None:
    """With some arrays as chumpy's, as the originals have them."""
    order = np.random.default_rng(1).permutation(model["shapedirs"].size)
    shuffled = np.empty(model["shapedirs"].size)
    shuffled[order] = model["shapedirs"].ravel()
    with chumpy_installed():
        old = {
            **model,
            "v_template": Ch(model["v_template"]),
            "shapedirs": Select(Ch(shuffled), order, model["shapedirs"].shape),
        }
        file.write_bytes(pickle.dumps(old, protocol))
