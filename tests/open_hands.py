"""Real (open) hands before a camera, for tests of what is made of hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand, mirrored
from handdgp_core.types import Hand
from tests.handdgp_core.estimation.hands_for_tests import make_hand

OPEN = OpenHand.load()


def open_hand(side: str = "right", place_m: tuple[float, float, float] = (0.02, -0.05, 0.45), **bends: float) -> Hand:
    """An open hand before the camera; `bends` are degrees of degrees of freedom, e.g. index_MCP_flexion=30."""
    dof = np.zeros(OPEN.dof_count)
    for name, angle in bends.items():
        dof[OPEN.dof_names.index(name.replace("_", " "))] = np.radians(angle)
    turn = Rotation.from_euler("xyz", (170, 25, 10), degrees=True).as_matrix()
    pose = HandPose(turn[None], dof[None], np.zeros((1, OPEN.shape_count)), np.ones(1))
    vertices, keypoints = (points[0] for points in OPEN.forward(pose))
    if side == "left":
        vertices, keypoints = mirrored(vertices), mirrored(keypoints)
    place = np.array(place_m)
    return replace(
        make_hand(),
        handedness=side,
        track_id=1 if side == "right" else 2,
        vertices_m=vertices + place,
        keypoints_m=keypoints + place,
        root_m=place,
        faces=OPEN.faces_for(side),
        distance_std=0.06,
    )


def degenerate_hand(side: str = "right") -> Hand:
    """A hand without a place."""
    nothing = np.full((21, 3), np.nan)
    hand = open_hand(side)
    return replace(
        hand,
        vertices_m=np.full_like(hand.vertices_m, np.nan),
        keypoints_m=nothing,
        root_m=nothing[0],
        root_covariance_m2=np.full((3, 3), np.nan),
        degenerate="fewer than three usable keypoints",
    )
