"""Skin painted by rule: colour, gloss and relief of a hand and forearm, from where each texel lies at rest.

Nothing is photographed. Colour: the palm lighter and redder than the back, red knuckles and finger pads, mottling,
faint veins. Relief: flexion creases of fingers and palm, wrinkles over the finger joints, fine grain everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from handdgp_core.synthetic.hands.arm import Arm
from handdgp_core.synthetic.rendering.bake import TexelMap, bake
from handdgp_core.synthetic.rendering.scene import Material
from handdgp_core.synthetic.rendering.surface import SmoothSurface

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]
_FINGERS = ("finger1", "finger2", "finger3", "finger4", "finger5")
_TIP_LENGTH_M = 0.024
# Palm lines as (across, along): -1 little finger side to 1 thumb side; 0 wrist to 1 base of the middle finger.
_PALM_LINES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((-0.98, 0.72), (-0.5, 0.70), (-0.05, 0.78), (0.25, 0.92), (0.38, 1.02)),
    ((0.95, 0.74), (0.55, 0.72), (0.1, 0.60), (-0.4, 0.48), (-0.75, 0.36)),
    ((0.93, 0.70), (0.52, 0.62), (0.22, 0.44), (0.10, 0.24), (0.16, 0.06)),
    ((-0.75, 0.03), (-0.2, 0.0), (0.3, 0.01), (0.75, 0.05)),
)


@dataclass(frozen=True)
class SkinTone:
    """sRGB colours in [0, 1] of a person's skin; `variation` seeds mottling and wrinkles."""

    back: Colour
    palm: Colour
    flush: Colour
    crease: Colour
    nail: Colour
    variation: int = 0


LIGHT = SkinTone(
    (0.80, 0.615, 0.52), (0.86, 0.665, 0.58), (0.83, 0.47, 0.42), (0.62, 0.37, 0.31), (0.87, 0.68, 0.63), 1
)
BROWN = SkinTone(
    (0.50, 0.335, 0.245), (0.70, 0.50, 0.40), (0.56, 0.31, 0.25), (0.36, 0.20, 0.15), (0.72, 0.53, 0.46), 2
)


def skin_material(arm: Arm, surface: SmoothSurface, tone: SkinTone, size: int = 2048) -> Material:
    """Paint the skin of an arm.

    Args:
        arm: at rest, hand model frame.
        surface: its render surface (gives the atlas).
        tone: the person's colours.
        size: side of the texture atlas.
    """
    positions, normals = surface.refine(arm.vertices_m)
    nail = np.zeros_like(positions)
    nail[:, 0] = surface.attribute(arm.nail)
    texels = bake(surface, positions, normals, nail, size)
    painter = _Painter(arm, texels, tone)
    colour, gloss, height = painter.paint()
    albedo = np.zeros((size * size, 4), np.uint8)
    albedo[texels.texels, :3] = np.clip(colour * 255, 0, 255)
    albedo[texels.texels, 3] = np.clip(gloss * 255, 0, 255)
    relief = np.zeros(size * size, np.float32)
    relief[texels.texels] = height
    covered = np.zeros(size * size, bool)
    covered[texels.texels] = True
    nearest = ndimage.distance_transform_edt(~covered.reshape(size, size), return_indices=True)[1]
    fill = np.ravel_multi_index(tuple(nearest), (size, size))  # spread outwards, so that no seam shows
    return Material(albedo[fill], relief[fill])


class _Noise:
    """Smooth noise in space, mean 0, standard deviation about 1."""

    def __init__(self, seed: int) -> None:
        self._volume = np.random.default_rng(seed).standard_normal((48, 48, 48)).astype(np.float32)

    def __call__(self, points: NDArray[np.float32], wavelength_m: float, shift: float = 0.0) -> NDArray[np.float32]:
        at = (points / wavelength_m + 17.3 + shift).T % 48
        value = ndimage.map_coordinates(self._volume, at, order=1, mode="grid-wrap")
        return np.asarray(value * 1.5, np.float32)


class _Painter:
    def __init__(self, arm: Arm, texels: TexelMap, tone: SkinTone) -> None:
        self.arm, self.tone = arm, tone
        self.at, self.normal, self.nail = texels.positions, texels.normals, texels.extra[:, 0]
        self.noise = _Noise(tone.variation)
        self.bone, self.along, self.across = self._nearest_bone()
        self.dorsal = self._dorsal()

    def paint(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        tone, noise = self.tone, self.noise
        coarse = noise(self.at, 0.016) * 0.6 + noise(self.at, 0.006, 5) * 0.4
        fine = noise(self.at, 0.0016, 9) * 0.6 + noise(self.at, 0.0007, 3) * 0.4
        back = _smoothstep(-0.25, 0.55, self.dorsal + 0.12 * coarse)
        colour = _mix(np.array(tone.palm), np.array(tone.back), back)
        flush, crease, height = self._joints(back)
        palm_lines, palm_flush = self._palm(1 - back)
        crease, flush = np.maximum(crease, palm_lines), np.maximum(flush, palm_flush)
        flush = np.clip(flush + 0.10 * coarse * (1.4 - back), 0, 1)
        colour = _mix(colour, np.array(tone.flush), 0.48 * flush)
        veins = self._veins(back)
        colour = colour * (1 - veins[:, None] * np.array([0.10, 0.045, 0.02]))
        colour = _mix(colour, np.array(tone.crease), 0.55 * np.clip(crease, 0, 1))
        colour = colour * (1 + 0.028 * coarse + 0.022 * fine)[:, None]
        height = height - 0.30 * palm_lines + 0.030 * fine + 0.018 * noise(self.at, 0.003, 2) + 0.10 * veins
        return self._nails(colour, 0.22 + 0.10 * (1 - back) + 0.05 * fine, height)

    def _nails(
        self, colour: NDArray[np.floating], gloss: NDArray[np.floating], height: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        nail = _smoothstep(0.35, 0.65, self.nail)
        colour = _mix(colour, np.array(self.tone.nail), 0.75 * nail)
        gloss = gloss * (1 - nail) + 0.85 * nail
        return colour.astype(np.float32), gloss, (height * (1 - nail)).astype(np.float32)

    def _nearest_bone(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Which bone is closest, how far along it (m from its head), how far to its side (m)."""
        best = np.full(len(self.at), np.inf, np.float32)
        bone = np.zeros(len(self.at), np.int64)
        along, across = np.zeros_like(best), np.zeros_like(best)
        for i, _ in enumerate(self.arm.bones):
            local = (self.at - self.arm.heads_m[i].astype(np.float32)) @ self.arm.orientations[i].astype(np.float32)
            length = self._length(i)
            beyond = local[:, 1] - np.clip(local[:, 1], 0, length)
            distance = local[:, 0] ** 2 + local[:, 2] ** 2 + beyond**2
            closer = distance < best
            best[closer] = distance[closer]
            bone[closer], along[closer], across[closer] = i, local[closer, 1], local[closer, 0]
        return bone, along, across

    def _length(self, bone: int) -> float:
        children = [i for i, parent in enumerate(self.arm.parents) if parent == bone]
        if not children:
            return _TIP_LENGTH_M
        reach = self.arm.heads_m[children] - self.arm.heads_m[bone]
        return float(np.linalg.norm(reach, axis=1).max())

    def _dorsal(self) -> NDArray[np.float32]:
        """Cosine between the normal and the back of the nearest bone; flexion turns a bone's y towards its z."""
        back = -self.arm.orientations[:, :, 2]
        for i, name in enumerate(self.arm.bones):
            if not name.startswith("finger"):
                back[i] = (0.0, 0.0, -1.0)
        return np.einsum("nk,nk->n", self.normal, back[self.bone].astype(np.float32))

    def _joints(self, back: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Flush, crease and relief (mm) around the finger joints."""
        flush, crease = np.zeros_like(back), np.zeros_like(back)
        height = np.zeros_like(back)
        wobble = 0.0009 * self.noise(self.at, 0.007, 21)
        for finger in _FINGERS:
            thumb = finger == "finger1"
            chain = [self.arm.bone_index[f"{finger}-{k}"] for k in (1, 2, 3)]
            near = np.isin(self.bone, [*chain, *self._metacarpal(finger)])
            for k, joint in enumerate(chain):
                s = ((self.at - self.arm.heads_m[joint]) @ self.arm.orientations[joint][:, 1]).astype(np.float32)
                s = s + wobble
                own = near & (np.abs(s) < 0.03)
                if not (thumb and k == 0):
                    knuckle = _bell(s - (0.0 if k else -0.006), 0.008 if k == 0 else 0.006) * back * own
                    flush = np.maximum(flush, (0.5 if k else 0.4) * knuckle)
                if k and not (thumb and k == 1):
                    lines = np.cos(s / 0.0011 * np.pi + 2 * self.noise(self.at, 0.004, k)) * 0.5 + 0.5
                    wrinkle = lines**3 * _bell(s, 0.0042 if k == 1 else 0.0028) * back * own
                    crease = np.maximum(crease, 0.28 * wrinkle)
                    height -= 0.16 * wrinkle
                for offset, strength in self._fold(k, thumb, self._length(joint)):
                    fold = strength * _bell(s - offset, 0.00045) * (1 - back) * own
                    crease = np.maximum(crease, fold)
                    height -= 0.22 * fold
            tip = self.bone == chain[2]
            pad = _smoothstep(0.006, 0.020, self.along) * (1 - 0.45 * back) * tip
            flush = np.maximum(flush, 0.75 * pad)
        return flush, crease, height

    def _fold(self, joint: int, thumb: bool, length_m: float) -> Sequence[tuple[float, float]]:
        """Creases on the palm side: (metres beyond the joint, strength)."""
        if joint == 0:
            return () if thumb else ((0.45 * length_m, 0.6), (0.45 * length_m + 0.002, 0.25))
        return ((0.0, 0.6), (0.0019, 0.3)) if joint == 1 else ((0.0, 0.5),)

    def _metacarpal(self, finger: str) -> list[int]:
        number = int(finger[-1]) - 1
        return [self.arm.bone_index[f"metacarpal{number}"]] if number else []

    def _palm(self, palm: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        at = self.arm.bone_index
        heads = self.arm.heads_m
        length = heads[at["finger3-1"]][1]
        left, right = heads[at["finger5-1"]][0] - 0.012, heads[at["finger2-1"]][0] + 0.016
        across = (self.at[:, 0] - left) / (right - left) * 2 - 1
        along = self.at[:, 1] / length
        lines = np.zeros_like(across)
        half_m = (right - left) / 2
        held = np.flatnonzero((palm > 0.02) & (along > -0.15) & (along < 1.2))
        wobble = [0.0011 * self.noise(self.at[held], 0.010, shift) for shift in (31, 37)]
        meters = np.stack([across[held] * half_m, along[held] * length], axis=1) + np.stack(wobble, axis=1)
        for line in _PALM_LINES:
            distance = _distance(meters, _dense(np.array(line)) * np.array([half_m, length]))
            lines[held] = np.maximum(lines[held], _bell(distance, 0.00055) * palm[held])
        mounds = [((0.75, 0.38), 0.35, 0.55), ((-0.7, 0.35), 0.35, 0.45), ((0.0, 0.98), 0.30, 0.35)]
        flush = np.zeros_like(lines)
        for (x, y), width, strength in mounds:
            bump = np.exp(-0.5 * (((across - x) / width) ** 2 + ((along - y) / (0.8 * width)) ** 2))
            flush = np.maximum(flush, strength * bump * palm)
        broken = np.clip(0.72 + 0.25 * self.noise(self.at, 0.011, 41), 0.25, 1)
        return (0.62 * lines * broken).astype(np.float32), flush.astype(np.float32)

    def _veins(self, back: NDArray[np.float32]) -> NDArray[np.float32]:
        stretched = self.at * np.array([1.0, 0.35, 1.0], np.float32)
        ridge = 1 - np.abs(self.noise(stretched, 0.013, 51)) / 0.5
        hand = _smoothstep(-0.22, 0.02, self.at[:, 1]) * (1 - _smoothstep(0.075, 0.10, self.at[:, 1]))
        return (np.clip(ridge, 0, 1) ** 2 * back * hand * 0.55).astype(np.float32)


def _dense(points: Floats) -> Floats:
    """A smooth curve through control points, as a dense polyline."""
    t = np.linspace(0, len(points) - 1, 60)
    smooth = [np.interp(t, np.arange(len(points)), points[:, k]) for k in (0, 1)]
    return np.stack([ndimage.gaussian_filter1d(s, 5, mode="nearest") for s in smooth], axis=1)


def _distance(points: Floats, curve: Floats) -> NDArray[np.float32]:
    """Distance from points to a polyline, in two dimensions."""
    best = np.full(len(points), np.inf)
    for start, end in pairwise(curve):
        edge = end - start
        t = np.clip((points - start) @ edge / (edge @ edge), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - t[:, None] * edge, axis=1))
    return best.astype(np.float32)


def _bell(x: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    return np.exp(-0.5 * (x / np.float32(width)) ** 2)


def _smoothstep(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.float32]:
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _mix(a: NDArray[np.float64] | NDArray[np.float32], b: NDArray[np.float64], t: NDArray[np.float32]) -> NDArray:
    return a * (1 - t[:, None]) + b * t[:, None]
