"""A hand-sized closed mesh with keypoints, seen by a camera of 320x240."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

MakeHand = Callable[..., Hand]


def _ellipsoid() -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.apply_scale((0.04, 0.06, 0.02))
    return mesh


@pytest.fixture
def camera() -> Camera:
    return Camera(320, 240, np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]))


@pytest.fixture
def make_hand(camera: Camera) -> MakeHand:
    """make_hand(handedness, centre_m, **changes): an ellipsoid with the root at its lower end."""

    def make(handedness: str = "right", centre_m: tuple[float, float, float] = (0.0, 0.0, 0.4), **changes) -> Hand:
        mesh = _ellipsoid()
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        fingers = np.stack([0.03 * np.sin(angles), -0.05 * np.cos(angles), 0.002 * np.arange(20)], axis=1)
        keypoints_m = np.vstack([[0.0, 0.06, 0.0], fingers]) + centre_m
        hand = Hand(
            handedness=handedness,
            score=0.9,
            vertices_m=mesh.vertices + np.array(centre_m),
            keypoints_m=keypoints_m,
            keypoints_px=camera.project(keypoints_m),
            weights=np.linspace(0.05, 1.0, 21),
            root_m=keypoints_m[0],
            root_covariance_m2=np.diag([1e-6, 2e-6, 3e-6]),
            hand_scale=1.0,
            faces=mesh.faces.astype(np.int32),
            track_id=4,
        )
        return replace(hand, **changes)

    return make


@pytest.fixture
def degenerate(make_hand: MakeHand) -> Hand:
    hand = make_hand("left")
    nothing = {name: np.full_like(getattr(hand, name), np.nan) for name in ("vertices_m", "keypoints_m", "root_m")}
    return replace(hand, root_covariance_m2=np.full((3, 3), np.nan), degenerate="too few weights", **nothing)


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    def make(index: int = 0, width: int = 320, height: int = 240, name: str | None = None) -> Frame:
        image = np.full((height, width, 3), 120, dtype=np.uint8)
        return Frame(image, stamp_ns=1_000_000_000 + 33_000_000 * index, index=index, name=name)

    return make
