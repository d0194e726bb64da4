"""A scene for the tests of the 3D view: a ball for a hand, whose picture can be computed by hand."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from app.viewport.orbit import Orbit
from app.viewport.protocol import CameraView, SceneHand, SceneState
from app.viewport.scene_geometry import Balls, balls_mesh

BALL_RADIUS_M = 0.05


def ball_hand(
    center_m: tuple[float, float, float] = (0.0, 0.0, 0.4), side: str = "right", **fields: object
) -> SceneHand:
    """A hand whose mesh is a ball around its middle, with a small fan of keypoints inside."""
    orbit = Orbit((0.0, 0.0, 0.4), 0.0, 0.0, 0.4)
    mesh = balls_mesh(Balls(np.array([center_m]), np.ones((1, 3)), np.array([BALL_RADIUS_M])), orbit)
    turn = np.linspace(0.0, 6.0, 21)[:, None]
    keypoints = np.array(center_m) + 0.02 * np.hstack([np.cos(turn), np.sin(turn), 0 * turn])
    return SceneHand(
        side,
        mesh.vertices_m,
        mesh.faces,
        keypoints,
        np.linspace(0.0, 1.0, 21),
        keypoints[0],
        np.diag([1e-6, 1e-6, 16e-6]),
        **fields,
    )


@pytest.fixture
def hand() -> SceneHand:
    return ball_hand()


@pytest.fixture
def scene(hand: SceneHand) -> SceneState:
    return SceneState((hand,), CameraView(1280, 720, (1000.0, 1000.0, 639.5, 359.5)), stamp_ns=1_000_000_000)
