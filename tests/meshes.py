"""Meshes and small templates for tests of hands and networks."""

from __future__ import annotations

from functools import cache

import numpy as np
import trimesh
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.hands.topology.template import Template, build_template
from handdgp_core.networks.config import NetworkConfig

# A network on `small_template` that runs in milliseconds.
SMALL_NETWORK = NetworkConfig(
    backbone="resnet18",
    template="ball",
    image_size=64,
    keypoint_widths=(16, 8),
    mesh_widths=(16, 16, 8, 8),
    weight_latent=16,
    weight_widths=(16, 8),
)


def ball(subdivisions: int, radius_m: float = 0.08) -> tuple[Array, NDArray[np.int32]]:
    """A closed mesh: 42, 162, 642 vertices for 1, 2, 3 subdivisions."""
    mesh = trimesh.creation.icosphere(subdivisions, radius_m)
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32)


def round_mesh(vertex_count: int, seed: int = 0) -> tuple[Array, NDArray[np.int32]]:
    """A closed, irregular mesh with exactly so many vertices."""
    points = np.random.default_rng(seed).normal(size=(vertex_count, 3)) * [1.0, 0.8, 0.4]
    points /= np.linalg.norm(points / [1.0, 0.8, 0.4], axis=1, keepdims=True)
    hull = trimesh.convex.convex_hull(points)
    assert len(hull.vertices) == vertex_count
    return np.asarray(hull.vertices) * 0.09, np.asarray(hull.faces, dtype=np.int32)


def patch_regressor(vertices: Array, keypoints: int) -> Array:
    """(K, V): every keypoint is the mean of the five vertices nearest to one of K vertices spread over the mesh."""
    seeds = [0]
    distance = np.full(len(vertices), np.inf)
    while len(seeds) < keypoints:
        distance = np.minimum(distance, np.linalg.norm(vertices - vertices[seeds[-1]], axis=1))
        seeds.append(int(distance.argmax()))
    regressor = np.zeros((keypoints, len(vertices)))
    for row, seed in enumerate(seeds):
        near = np.argsort(np.linalg.norm(vertices - vertices[seed], axis=1), kind="stable")[:5]
        regressor[row, near] = 0.2
    return regressor


@cache
def small_template(keypoints: int = 21, subdivisions: int = 2) -> Template:
    """A ball with four coarser levels; quick."""
    vertices, faces = ball(subdivisions)
    return build_template("ball", vertices, faces, patch_regressor(vertices, keypoints), cache=False)
