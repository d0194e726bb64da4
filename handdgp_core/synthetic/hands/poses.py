"""Natural poses of a hand: joint limits, fingers that move together, and no finger through another.

A pose is one of two kinds. *Blends* lie between two key poses of `motion.POSES` (open, fist, pinch, pointing ...), with
some noise. *Free* poses have a curl of the whole hand, a curl of each finger about it, and joints of a finger that
bend together (the last joint by two thirds of the middle one, as its tendon does); straight fingers spread, bent ones
do not.
"""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.synthetic.hands.motion import POSES, dof_from_pose

__all__ = ["PoseSampler", "deepest_contact_m"]

_BLEND_SHARE = 0.45
_TRIES = 12
_ALLOWED_DEPTH_M = 0.004  # flesh gives way
_RADIUS_M = 0.0075  # of a finger
_STEPS = np.linspace(0.1, 1.0, 6)


class PoseSampler:
    """Draws joint angles for the open hand.

    Examples:
        >>> PoseSampler(OpenHand.load()).draw(np.random.default_rng(0)).shape
        (24,)
    """

    def __init__(self, hand: OpenHand) -> None:
        self._hand = hand
        self._keys = np.stack([dof_from_pose(hand, name) for name in POSES])
        self._index = {name: number for number, name in enumerate(hand.dof_names)}

    def draw(self, rng: np.random.Generator) -> Array:
        """(D,) angles from rest, radians: within the limits, and with no finger deeper in another than flesh gives."""
        dof, best, least = self._draw_once(rng), self._keys[0], np.inf
        for _ in range(_TRIES):
            depth = deepest_contact_m(self._hand, dof)
            if depth <= _ALLOWED_DEPTH_M:
                return dof
            if depth < least:
                best, least = dof, depth
            dof = self._draw_once(rng)
        return best

    def _draw_once(self, rng: np.random.Generator) -> Array:
        dof = self._blend(rng) if rng.random() < _BLEND_SHARE else self._free(rng)
        return self._hand.clamped(dof)

    def _blend(self, rng: np.random.Generator) -> Array:
        first, second = rng.choice(len(self._keys), 2, replace=False)
        # Joints go at their own pace from one pose to the other, fingers as a whole.
        share = np.clip(rng.beta(0.7, 0.7) + rng.normal(0, 0.08, len(self._keys[0])), 0, 1)
        dof = self._keys[first] * (1 - share) + self._keys[second] * share
        return np.asarray(dof + rng.normal(0, 0.25, len(dof)) * self._hand.dof_sd_rad)

    def _free(self, rng: np.random.Generator) -> Array:
        dof = self._hand.dof_mean_rad + rng.normal(0, 1.0, self._hand.dof_count) * self._hand.dof_sd_rad
        whole = rng.beta(0.9, 1.4)
        slope = rng.normal(0, 0.12)
        for number, finger in enumerate([name for name in FINGERS if name != "thumb"]):
            curl = float(np.clip(whole + slope * (number - 1.5) + rng.normal(0, 0.16), 0, 1))
            share = float(np.clip(rng.normal(0.5, 0.22), 0, 1))  # of the curl that the knuckle takes
            knuckle, middle = 2 * share * curl, 2 * (1 - share) * curl
            self._set(dof, f"{finger} MCP flexion", -12 + 85 * min(1.0, knuckle) + rng.normal(0, 6))
            pip = 2 + 98 * min(1.0, middle) + rng.normal(0, 5)
            self._set(dof, f"{finger} PIP flexion", pip)
            self._set(dof, f"{finger} DIP flexion", 0.62 * max(pip, 0) + rng.normal(-4, 7))
            spread = f"{finger} MCP abduction"
            dof[self._index[spread]] *= 1.3 - min(1.0, knuckle)
        return dof

    def _set(self, dof: Array, name: str, anatomical_deg: float) -> None:
        index = self._index[name]
        dof[index] = np.radians(anatomical_deg) - self._hand.dof_rest_rad[index]


def deepest_contact_m(hand: OpenHand, dof_rad: Array) -> float:
    """How far any finger reaches into another, metres; 0 or less where none does.

    Fingers count as chains of round rods from the second keypoint of each to its tip.
    """
    pose = (np.asarray(dof_rad)[None], np.zeros((1, hand.shape_count)), np.ones(1))
    keypoints = hand.keypoints_and_jacobian(*pose)[0][0]
    chains = []
    for finger in FINGERS.values():
        start, end = keypoints[list(finger[:-1])], keypoints[list(finger[1:])]
        points = start[:, None] + _STEPS[None, :, None] * (end - start)[:, None]
        chains.append(points[1:].reshape(-1, 3) if finger is FINGERS["thumb"] else points.reshape(-1, 3))
    deepest = -np.inf
    for number, chain in enumerate(chains):
        for other in chains[number + 1 :]:
            gap = np.linalg.norm(chain[:, None] - other[None], axis=-1)
            gap[:6, :6] = np.inf  # neighbours touch at their roots
            deepest = max(deepest, 2 * _RADIUS_M - float(gap.min()))
    return deepest
