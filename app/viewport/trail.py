"""Memory of where each root was in the last seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from app.viewport.protocol import TRAIL_POINTS, SceneState

__all__ = ["TrailMemory"]

# A root that jumps so far between frames belongs to another hand, or to a source that was wound.
JUMP_M = 0.25


class TrailMemory:
    """Adds trails to scenes that arrive one after the other.

    Args:
        length_s: how far back a trail goes.
    """

    def __init__(self, length_s: float = 3.0) -> None:
        self._length_ns = int(length_s * 1e9)
        self._points: dict[tuple[str, int], deque[tuple[int, float, float, float]]] = {}
        self._last_ns = 0

    def clear(self) -> None:
        """Forget everything."""
        self._points.clear()

    def with_trails(self, scene: SceneState) -> SceneState:
        """The scene with every hand's trail up to now. A time that runs backwards restarts all trails; the same
        time again (a redraw of a paused source) replaces the newest point."""
        if scene.stamp_ns < self._last_ns:
            self.clear()
        self._last_ns = scene.stamp_ns
        keys = [(hand.side, hand.track_id) for hand in scene.hands]
        self._points = {key: points for key, points in self._points.items() if key in keys}
        hands = []
        for key, hand in zip(keys, scene.hands, strict=True):
            points = self._points.setdefault(key, deque(maxlen=TRAIL_POINTS))
            self._add(points, scene.stamp_ns, hand.root_m)
            rows = np.array(points, dtype=np.float64)
            ages = (scene.stamp_ns - rows[:, 0]) / self._length_ns
            hands.append(replace(hand, trail_m=np.column_stack([rows[:, 1:], ages])))
        return replace(scene, hands=tuple(hands))

    def _add(self, points: deque[tuple[int, float, float, float]], stamp_ns: int, root_m: np.ndarray) -> None:
        x, y, z = (float(value) for value in root_m)
        if points and np.linalg.norm(np.subtract(points[-1][1:], (x, y, z))) > JUMP_M:
            points.clear()
        if points and points[-1][0] == stamp_ns:
            points.pop()
        points.append((stamp_ns, x, y, z))
        while stamp_ns - points[0][0] > self._length_ns:
            points.popleft()
