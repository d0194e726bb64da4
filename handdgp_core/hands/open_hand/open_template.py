"""The open hand as a template for networks."""

from __future__ import annotations

from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.hands.topology.template import Template, build_template

__all__ = ["open_hand_template"]


def open_hand_template(hand: OpenHand | None = None, cache: bool = True) -> Template:
    """The mean open hand at rest: 1609 vertices, 21 keypoints.

    Raises:
        AssetError: the asset is missing or damaged.
    """
    hand = hand or OpenHand.load()
    return build_template("open", hand.vertices, hand.faces, hand.keypoint_regressor, cache=cache)
