"""Light and film of a picture: a key light and a surround of six directions, dim and warm to bright and cold."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.synthetic.rendering.scene import Film, Lighting

__all__ = ["draw_film", "draw_lighting"]

_AROUND = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64)


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """The key light stands anywhere but behind the hand, more often above; the surround is uneven."""
    key = rng.normal(0, 1, 3) + np.array([0.0, -0.7, -0.8])
    key /= np.linalg.norm(key)
    if key[2] > 0.5:
        key[2] = -key[2]
    strength = float(np.exp(rng.normal(-0.45, 0.5)))
    turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0]
    ambient = np.exp(rng.normal(-1.55, 0.55, (6, 1))) * _tint(rng)
    return Lighting(key, strength * _tint(rng), _AROUND @ turn.T, ambient, float(rng.uniform(0.05, 0.6)))


def draw_film(rng: np.random.Generator) -> Film:
    """Exposure within a stop either way; softness stands in for supersampling."""
    exposure = float(np.exp(rng.normal(0.35, 0.35)))
    return Film(exposure, float(rng.uniform(0, 0.1)), 0.0, float(rng.uniform(0.25, 0.5)))


def _tint(rng: np.random.Generator) -> Array:
    """Colour of a light, from a lamp's yellow to a window's blue, mean 1."""
    warm = rng.normal(0.1, 0.6)
    tint = np.exp(np.array([0.22, 0.0, -0.28]) * warm + rng.normal(0, 0.03, 3))
    return np.asarray(tint / tint.mean())
