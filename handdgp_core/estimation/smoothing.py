"""One-Euro smoothing of hands over time (Casiez, Roussel and Vogel, CHI 2012), depth damped on its own.

The depth of a monocular estimate is far noisier than its direction, so the root is split into its component along the
viewing ray and the rest, and each has its own cut-off. Raw hands are not changed: `HandSmoother.apply` returns copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.types import Hand

# A hand unseen for longer starts afresh instead of gliding in from where it was.
_FORGET_AFTER_S = 0.5


@dataclass(frozen=True)
class SmoothingSettings:
    """Cut-offs in Hz: lower is steadier, higher follows faster. Betas raise the cut-off with speed.

    Attributes:
        enabled: False passes hands through unchanged.
        min_cutoff_hz: for the direction of the root and the shape of the hand at rest.
        beta: Hz of cut-off gained per m/s of speed.
        depth_min_cutoff_hz: the same for depth along the line of sight.
        depth_beta: the same for depth along the line of sight.
    """

    enabled: bool = True
    min_cutoff_hz: float = 3.0
    beta: float = 30.0
    depth_min_cutoff_hz: float = 1.0
    depth_beta: float = 15.0


@dataclass
class _OneEuro:
    """One filter over an array, all of whose elements share the speed that sets the cut-off."""

    min_cutoff_hz: float
    beta: float
    derivative_cutoff_hz: float = 1.0
    _value: Array | None = None
    _derivative: Array | None = None

    def __call__(self, value: Array, dt_s: float) -> Array:
        if self._value is None or self._derivative is None:
            self._value, self._derivative = value, np.zeros_like(value)
            return value
        derivative = (value - self._value) / dt_s
        self._derivative = self._derivative + _alpha(self.derivative_cutoff_hz, dt_s) * (derivative - self._derivative)
        # The typical speed of one point, so that one noisy finger tip does not open the filter for all.
        speed = math.sqrt(float((self._derivative**2).sum()) / max(1, self._derivative.size // 3))
        alpha = _alpha(self.min_cutoff_hz + self.beta * speed, dt_s)
        self._value = self._value + alpha * (value - self._value)
        return self._value


def _alpha(cutoff_hz: float, dt_s: float) -> float:
    """Weight of the newest sample in a first-order low-pass filter."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt_s))


@dataclass
class _HandFilter:
    """The filters of one tracked hand."""

    direction: _OneEuro
    depth: _OneEuro
    shape: _OneEuro
    stamp_ns: int | None = None

    @classmethod
    def create(cls, settings: SmoothingSettings) -> _HandFilter:
        lateral = (settings.min_cutoff_hz, settings.beta)
        return cls(_OneEuro(*lateral), _OneEuro(settings.depth_min_cutoff_hz, settings.depth_beta), _OneEuro(*lateral))

    def copy(self, settings: SmoothingSettings) -> _HandFilter:
        """The same state with other cut-offs."""
        rest, beta = settings.min_cutoff_hz, settings.beta
        return _HandFilter(
            replace(self.direction, min_cutoff_hz=rest, beta=beta),
            replace(self.depth, min_cutoff_hz=settings.depth_min_cutoff_hz, beta=settings.depth_beta),
            replace(self.shape, min_cutoff_hz=rest, beta=beta),
            self.stamp_ns,
        )

    def apply(self, hand: Hand, dt_s: float) -> Hand:
        distance = float(np.linalg.norm(hand.root_m))
        direction = self.direction(hand.root_m / distance, dt_s)
        root = direction / np.linalg.norm(direction) * self.depth(np.array([distance]), dt_s)
        # Keypoints and vertices share one filter, so that they stay on each other.
        points = np.concatenate([hand.keypoints_m, hand.vertices_m]) - hand.root_m
        smooth = self.shape(points, dt_s) + root
        count = len(hand.keypoints_m)
        return replace(hand, root_m=root, keypoints_m=smooth[:count], vertices_m=smooth[count:])


@dataclass
class HandSmoother:
    """Smooths the hands of one stream, each by its `track_id`.

    Examples:
        smoother = HandSmoother(SmoothingSettings())
        shown = smoother.apply(estimator.estimate(frame, camera), frame.stamp_ns)
    """

    settings: SmoothingSettings = field(default_factory=SmoothingSettings)
    _filters: dict[int, _HandFilter] = field(default_factory=dict)

    def apply(self, hands: list[Hand], stamp_ns: int) -> list[Hand]:
        """Smoothed copies of `hands`; degenerate hands pass through and make their filter start afresh."""
        if not self.settings.enabled:
            self._filters.clear()
            return list(hands)
        smoothed = [self._smooth(hand, stamp_ns) for hand in hands]
        self._forget(stamp_ns)
        return smoothed

    def copy(self, settings: SmoothingSettings) -> HandSmoother:
        """A smoother that goes on from here by itself, with these cut-offs."""
        filters = {track_id: known.copy(settings) for track_id, known in self._filters.items()}
        return HandSmoother(settings, filters)

    def reset(self) -> None:
        """Forget every hand, for example after a seek."""
        self._filters.clear()

    def _smooth(self, hand: Hand, stamp_ns: int) -> Hand:
        if hand.degenerate is not None:
            self._filters.pop(hand.track_id, None)
            return hand
        known = self._filters.get(hand.track_id)
        if known is None or known.stamp_ns is None or not 0 < stamp_ns - known.stamp_ns <= _FORGET_AFTER_S * 1e9:
            known = self._filters[hand.track_id] = _HandFilter.create(self.settings)
        dt_s = 1.0 if known.stamp_ns is None else (stamp_ns - known.stamp_ns) / 1e9
        known.stamp_ns = stamp_ns
        return known.apply(hand, dt_s)

    def _forget(self, stamp_ns: int) -> None:
        for track_id, known in list(self._filters.items()):
            if known.stamp_ns is None or abs(stamp_ns - known.stamp_ns) > _FORGET_AFTER_S * 1e9:
                del self._filters[track_id]
