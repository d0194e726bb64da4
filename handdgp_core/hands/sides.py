"""Left and right: one hand of each, for whoever has room for no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from handdgp_core.arrays import Handedness
from handdgp_core.types import Hand

__all__ = ["surest_by_side"]

Item = TypeVar("Item")


def surest_by_side(items: Iterable[Item], hand_of: Callable[[Item], Hand]) -> dict[Handedness, Item]:
    """Of either side the item with the surest hand that has a place; a side without one is not there."""
    chosen: dict[Handedness, Item] = {}
    for item in items:
        hand = hand_of(item)
        best = chosen.get(hand.handedness)
        if hand.degenerate is None and (best is None or hand.score > hand_of(best).score):
            chosen[hand.handedness] = item
    return chosen
