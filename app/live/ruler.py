"""A ruler between two points of the hands on screen, which goes with them from frame to frame. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand

__all__ = ["Anchor", "Reading", "Ruler", "anchor_at"]

THUMB_TIP, INDEX_TIP = 4, 8
REACH = 0.02  # of the image's width: a click farther from every point of a hand means none


@dataclass(frozen=True)
class Anchor:
    """A point of a hand: a keypoint (0 to 20) where it is one, else a vertex of its mesh."""

    side: str
    number: int
    is_keypoint: bool = False

    def place_m(self, hands: Sequence[Hand]) -> Array | None:
        """(3,) where it is, camera frame; None where that hand is not seen or has no position."""
        for hand in hands:
            points = hand.keypoints_m if self.is_keypoint else hand.vertices_m
            if hand.handedness == self.side and hand.degenerate is None and self.number < len(points):
                place = np.asarray(points[self.number], dtype=np.float64)
                return place if np.isfinite(place).all() else None
        return None


@dataclass(frozen=True)
class Reading:
    """Where the ruler lies, and what it shows.

    Attributes:
        ends_px: (1 or 2, 2) pixels of the image; one while the second end is not chosen yet.
        length_m: between the ends; NaN where there is one.
    """

    ends_px: Array
    length_m: float


class Ruler:
    """Between thumb and index tip of one hand, until two other points are chosen."""

    def __init__(self) -> None:
        self.ends: tuple[Anchor, ...] = ()

    def choose(self, anchor: Anchor) -> None:
        """The next end; after two a new pair begins."""
        self.ends = (anchor,) if len(self.ends) != 1 else (*self.ends, anchor)

    def reset(self) -> None:
        """Back to thumb and index tip."""
        self.ends = ()

    def read(self, hands: Sequence[Hand], side: str, camera: Camera) -> Reading | None:
        """What the ruler shows.

        Args:
            hands: on screen.
            side: the hand whose finger tips are measured while nothing was chosen.
            camera: of the image.

        Returns:
            None where an end is not to be seen.
        """
        ends = self.ends or (Anchor(side, THUMB_TIP, True), Anchor(side, INDEX_TIP, True))
        places = [end.place_m(hands) for end in ends]
        if any(place is None or place[2] <= 0 for place in places):
            return None
        points = np.array(places)
        length_m = float(np.linalg.norm(points[1] - points[0])) if len(points) == 2 else float("nan")
        return Reading(camera.project(points), length_m)


def anchor_at(pixel: Array, hands: Sequence[Hand], camera: Camera) -> Anchor | None:
    """The point of a hand under a pixel (2,) of the image: a keypoint close to it, else the nearest vertex in front."""
    reach_px, found = REACH * camera.width, list[tuple[float, Anchor]]()
    for hand in hands:
        if hand.degenerate is not None or not np.isfinite(hand.vertices_m).all():
            continue
        away = np.linalg.norm(hand.keypoints_px - pixel, axis=1)
        if away.min() <= reach_px / 2:
            found.append((float(away.min()), Anchor(hand.handedness, int(away.argmin()), True)))
            continue
        away = np.linalg.norm(camera.project(hand.vertices_m) - pixel, axis=1)
        near = np.flatnonzero(away <= max(float(np.nanmin(away)) * 1.5, reach_px / 4))
        if len(near) and np.nanmin(away) <= reach_px:
            front = int(near[hand.vertices_m[near, 2].argmin()])
            found.append((float(away[front]), Anchor(hand.handedness, front)))
    return min(found, key=lambda entry: entry[0])[1] if found else None
