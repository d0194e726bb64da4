"""A hand in MANO's exact layout, made from the open hand: nothing of MANO is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix

from handdgp_core.hands.licensed.mano import JOINT_COUNT, JOINT_OF_KEYPOINT, TIP_VERTICES
from tests.handdgp_core.hands.model_files import linear_model, write_old_model
from tests.open_hands import OPEN

_PARENTS = [2**32 - 1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]


def mano_like() -> dict[str, Any]:
    """778 vertices, of which some are the joints and tips of the open hand at rest."""
    model = linear_model(778, JOINT_COUNT)
    rng = np.random.default_rng(5)
    keypoints = OPEN.keypoints
    vertices = OPEN.vertices[np.sort(rng.choice(len(OPEN.vertices), 778, replace=False))].copy()
    joints = np.empty((JOINT_COUNT, 3))
    regressor = np.zeros((JOINT_COUNT, 778))
    for keypoint, joint in JOINT_OF_KEYPOINT.items():
        joints[joint] = keypoints[keypoint]
        vertices[joint] = keypoints[keypoint]
        regressor[joint, joint] = 1.0
    for keypoint, vertex in TIP_VERTICES.items():
        vertices[vertex] = keypoints[keypoint]
    distances = np.linalg.norm(vertices[:, None] - joints, axis=-1)
    weights = np.exp(-((distances / 0.012) ** 2)) + 1e-12
    for finger, vertex in enumerate(TIP_VERTICES.values()):
        weights[vertex] = np.eye(JOINT_COUNT)[(15, 3, 6, 12, 9)[finger]]
    # The first shape is size; the others stretch along fixed waves, a few millimetres each.
    waves = rng.normal(0, 30, (9, 3))
    shapes = np.stack([0.06 * vertices, *(0.003 * np.sin(vertices @ wave[:, None] + wave) for wave in waves)], axis=-1)
    return {
        **model,
        "v_template": vertices,
        "J_regressor": csc_matrix(regressor),
        "J": joints,
        "shapedirs": shapes,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([_PARENTS, range(JOINT_COUNT)], dtype=np.int64),
    }


def write_mano_like(folder: Path) -> Path:
    """MANO_RIGHT.pkl in a folder."""
    path = folder / "MANO_RIGHT.pkl"
    write_old_model(path, mano_like())
    return path
