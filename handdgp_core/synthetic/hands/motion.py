"""How a hand moves in the demo: key poses in anatomical angles, joined smoothly, with finger lag and tremor.

A performance is written for a right hand. A left hand plays the mirror image of the same score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from handdgp_core.hands.open_hand.open_hand import OpenHand

Floats = NDArray[np.float64]
FINGERS = ("index", "middle", "ring", "little")
_FACING_CAMERA = np.diag([1.0, -1.0, -1.0])  # palm to the camera, fingers up
_LAG_S = {"thumb": 0.035, "index": 0.0, "middle": 0.015, "ring": 0.03, "little": 0.045}
_LIMIT_MARGIN_RAD = np.radians(0.5)

Angles = dict[str, float]


def _finger(name: str, mcp: float, pip: float, dip: float, abduction: float | None = None) -> Angles:
    angles = {f"{name} MCP flexion": mcp, f"{name} PIP flexion": pip, f"{name} DIP flexion": dip}
    return angles if abduction is None else {**angles, f"{name} MCP abduction": abduction}


def _thumb(flex: float, abduction: float, twist: float, mcp: float, ip: float) -> Angles:
    cmc = {"thumb CMC flexion": flex, "thumb CMC abduction": abduction, "thumb CMC twist": twist}
    return {**cmc, "thumb MCP flexion": mcp, "thumb IP flexion": ip}


def _fingers(mcp: float, pip: float, dip: float, spread: float = 1.0) -> Angles:
    """All four fingers; the curl grows a little from index to little finger."""
    fan = {"index": 6.0, "middle": 0.0, "ring": 5.0, "little": 12.0}
    angles: Angles = {}
    for number, name in enumerate(FINGERS):
        curl = 1 + 0.06 * (number - 1)
        angles |= _finger(name, mcp * curl, pip * curl, dip, fan[name] * spread)
    return angles


_FOLDED = {"index": (78, 98, 55), "middle": (80, 96, 55), "ring": (80, 96, 55), "little": (80, 92, 55)}
_CUPPED = {"ring": 5.0, "little": 11.0}


def _count(straight: Sequence[str], thumb: Angles) -> Angles:
    angles = dict(thumb)
    for name in FINGERS:
        fan = {"index": 5.0, "middle": -1.0, "ring": 4.0, "little": 10.0}[name]
        angles |= _finger(name, 4, 6, 4, fan) if name in straight else _finger(name, *_FOLDED[name], 2.0)
        if name in _CUPPED and name not in straight:
            angles[f"{name} CMC flexion"] = _CUPPED[name]
    return angles


_THUMB_OPEN = _thumb(-14, 8, -4, 4, 2)
_THUMB_RELAXED = _thumb(0, 0, 0, 14, 12)
_THUMB_OVER = _thumb(28, -14, 22, 34, 48)

# Anatomical degrees; what a pose does not name keeps its angle at rest.
POSES: Mapping[str, Angles] = {
    "relaxed": _fingers(22, 30, 14, 0.7) | _THUMB_RELAXED,
    "open": _fingers(3, 8, 4, 1.0) | _THUMB_OPEN,
    "spread": _fingers(-6, 4, 2, 1.7) | _thumb(-20, 10, -8, 0, -4),
    "together": _fingers(2, 6, 4, 0.1) | _thumb(2, -6, 4, 10, 8),
    "half": _fingers(38, 55, 28, 0.6) | _thumb(8, 0, 8, 18, 20),
    "fist": _count((), _THUMB_OVER),
    "one": _count(("index",), _THUMB_OVER),
    "two": _count(("index", "middle"), _THUMB_OVER) | _finger("index", 2, 5, 3, 13) | _finger("middle", 2, 5, 3, -9),
    "three": _count(("index", "middle", "ring"), _THUMB_OVER),
    "four": _count(FINGERS, _thumb(30, -16, 26, 34, 40)),
    "pinch": _fingers(26, 34, 18, 0.8) | _finger("index", 55, 50, 29, 12) | _thumb(25, 0, 16, 24, 27),
    "ok": _fingers(4, 14, 8, 1.1) | _finger("index", 59, 50, 30, 11) | _thumb(24, 1, 18, 26, 30),
    "thumb up": _count((), _thumb(-18, -4, -4, 2, -6)),
}


@dataclass(frozen=True)
class Key:
    """Where the hand is at a time: centre of the hand (m, camera frame), turn (degrees) and the pose of the fingers.

    Turn: yaw about the image's vertical, pitch (positive: finger tips towards the camera), roll (positive: clockwise in
    the image). All zero is palm to the camera, fingers up.
    """

    time_s: float
    center_m: tuple[float, float, float]
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pose: str = "relaxed"


@dataclass(frozen=True)
class Moment:
    """A right hand at one moment: angles from rest (D,), camera_from_model rotation (3, 3), centre of the hand (3,)."""

    dof_rad: Floats
    rotation: Floats
    center_m: Floats


class Score:
    """A performance of one hand, as a smooth function of time.

    Args:
        hand: gives names, rest angles and limits.
        keys: at least two, in order of time.
        seed: of the tremor.
    """

    def __init__(self, hand: OpenHand, keys: Sequence[Key], seed: int) -> None:
        self._hand = hand
        times = np.array([key.time_s for key in keys])
        self.start_s, self.end_s = float(times[0]), float(times[-1])
        self._center = PchipInterpolator(times, [key.center_m for key in keys])
        self._turn = PchipInterpolator(times, [key.turn_deg for key in keys])
        self._dof = PchipInterpolator(times, [dof_from_pose(hand, key.pose) for key in keys])
        lag = [next((s for name, s in _LAG_S.items() if dof.startswith(name)), 0.0) for dof in hand.dof_names]
        self._lag = np.array(lag)
        self._tremor = _Tremor(seed, 6 + hand.dof_count)

    def at(self, time_s: float) -> Moment:
        """The hand at a time; before the start and after the end it keeps its first and last place."""
        clipped = np.clip(time_s, self.start_s, self.end_s)
        shake = self._tremor.at(time_s)
        lagged = np.clip(time_s - self._lag, self.start_s, self.end_s)
        dof = np.array([curve[i] for i, curve in enumerate(self._dof(lagged))]) + np.radians(0.5) * shake[6:]
        low, high = self._hand.dof_limits_rad.T
        dof = np.clip(dof, low + _LIMIT_MARGIN_RAD, high - _LIMIT_MARGIN_RAD)
        yaw, pitch, roll = self._turn(clipped) + 0.7 * shake[3:6]
        turn = Rotation.from_euler("ZYX", [roll, yaw, pitch], degrees=True).as_matrix()
        return Moment(dof, turn @ _FACING_CAMERA, self._center(clipped) + 0.0012 * shake[:3])


class _Tremor:
    """Slow drift and a physiological 8-11 Hz shake, each channel with a root mean square of about 1."""

    def __init__(self, seed: int, channels: int) -> None:
        draw = np.random.default_rng(seed)
        slow = draw.uniform(0.3, 1.6, (4, channels))
        fast = draw.uniform(7.5, 11.0, (2, channels))
        self._frequency = np.concatenate([slow, fast])
        self._phase = draw.uniform(0, 2 * np.pi, self._frequency.shape)
        self._amplitude = np.array([0.65, 0.6, 0.5, 0.45, 0.09, 0.07])[:, None]

    def at(self, time_s: float) -> Floats:
        wave = np.sin(2 * np.pi * self._frequency * time_s + self._phase)
        return np.asarray((self._amplitude * wave).sum(axis=0))


def dof_from_pose(hand: OpenHand, name: str) -> Floats:
    """(D,) angles from rest, radians, within the limits."""
    angles = POSES[name]
    rest = np.degrees(hand.dof_rest_rad)
    target = np.array([angles.get(dof, rest[i]) for i, dof in enumerate(hand.dof_names)])
    return np.asarray(hand.clamped(np.radians(target - rest)))


def hand_center(hand: OpenHand) -> Floats:
    """(3,) from the wrist keypoint to the base of the middle finger at rest, model frame: the point that keys place."""
    return np.asarray(hand.keypoints[9] - hand.keypoints[0])
