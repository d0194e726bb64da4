"""What a picture is made of: materials, light, film, and surfaces where they stand. Camera frame, linear light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """What a surface is made of.

    Attributes:
        albedo: (H, W, 4) uint8, sRGB colour and gloss.
        height_mm: (H, W) float32, relief in millimetres.
        wrap: per colour, how far light reaches past the terminator (0 hard, 0.3 soft).
        specular: reflectance at normal incidence (skin 0.028).
        sheen: light that fuzz catches at grazing angles (cloth).
        bump: factor on the relief.
    """

    albedo: NDArray[np.uint8]
    height_mm: NDArray[np.float32]
    wrap: tuple[float, float, float] = (0.30, 0.16, 0.10)
    specular: float = 0.028
    sheen: float = 0.0
    bump: float = 1.0


@dataclass(frozen=True)
class Lighting:
    """One soft key light and ambient light from a fan of directions, camera frame, linear light.

    Attributes:
        key_direction: (3,) unit vector towards the light.
        key_radiance: (3,) what a white surface that faces it sends back.
        ambient_directions: (N, 3) unit vectors, N at most 32.
        ambient_radiance: (N, 3) irradiance that each direction adds on a surface facing it.
        key_softness: penumbra width over distance to the occluder.
    """

    key_direction: Floats
    key_radiance: Floats
    ambient_directions: Floats
    ambient_radiance: Floats
    key_softness: float = 0.25


@dataclass(frozen=True)
class Film:
    """How the picture is taken: exposure, vignette (0 to 1), grain (sRGB standard deviation), softness (0 to 1)."""

    exposure: float = 1.0
    vignette: float = 0.12
    grain: float = 0.010
    softness: float = 0.35


@dataclass(frozen=True)
class Placed:
    """A surface of the renderer where it stands now: its number, (Vr, 3) positions and normals in the camera frame.

    Surfaces of one `group` shade one another; other groups are taken to be far off.
    `mirrored`: positions and normals are a mirror image of the surface (a left hand), so winding is reversed.
    """

    surface: int
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    mirrored: bool = False
    group: int = 0
