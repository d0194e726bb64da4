"""How often and how large to render, so that the view never takes more than its share of the machine."""

from __future__ import annotations

__all__ = ["SCALES", "Pacer"]

# Pictures are rendered at this multiple of the view's own pixels, and shrunk or stretched to fit; above 1 is smoother.
SCALES = (0.7, 1.0, 1.4, 2.0)
_FEWEST_FPS = 12.0
_PATIENCE = 12  # pictures between changes of scale
_WORTH = 0.75  # a coarser scale must at least save this much


class Pacer:
    """Measures pictures and answers two questions: when may the next one start, and at which scale.

    Wall time is what counts: when other work keeps the machine busy, rendering takes longer, and the pacer backs off.

    Args:
        max_fps: never more pictures a second than this.
        max_share: largest part of the time that may go into rendering, 0 to 1.
    """

    def __init__(self, max_fps: float = 30.0, max_share: float = 0.5) -> None:
        self._least_interval_s = 1.0 / max_fps
        self._level = SCALES.index(1.0)
        self.restart(max_share)

    @property
    def scale(self) -> float:
        """Picture pixels per view pixel."""
        return SCALES[self._level]

    @property
    def interval_s(self) -> float:
        """Least time from one request to the next."""
        return max(self._least_interval_s, self._render_s / self._max_share)

    def restart(self, max_share: float) -> None:
        """Forget the measurements: another renderer, with a share of its own."""
        self._max_share = max_share
        self._renders, self._render_s = 0, 0.0
        self._before_s = 0.0  # what a picture took at the level above, after a step down
        self._lowest = 0

    def record(self, render_ms: float) -> None:
        """Take in how long a picture of the present scale took."""
        seconds = 1e-3 * render_ms
        self._renders += 1
        self._render_s = seconds if self._renders == 1 else 0.8 * self._render_s + 0.2 * seconds
        crawling = self.interval_s > 2.0 / _FEWEST_FPS
        if self._renders >= (_PATIENCE // 3 if crawling else _PATIENCE):
            self._reconsider()

    def _reconsider(self) -> None:
        if self._before_s and self._render_s > _WORTH * self._before_s:
            # Coarser pictures were hardly quicker (the vertices cost, not the pixels): take the finer ones back.
            self._change(1, 0.0)
            self._lowest = self._level
        elif self.interval_s > 1.0 / _FEWEST_FPS and self._level > self._lowest:
            self._change(-1, self._render_s)
        elif self._level + 1 < len(SCALES):
            # Half of the cost grows with the pixels; go up only where full speed is sure to remain.
            growth = 0.5 + 0.5 * (SCALES[self._level + 1] / self.scale) ** 2
            if 1.15 * growth * self._render_s / self._max_share <= self._least_interval_s:
                self._change(1, 0.0)

    def _change(self, step: int, before_s: float) -> None:
        self._level += step
        self._renders, self._before_s = 0, before_s
