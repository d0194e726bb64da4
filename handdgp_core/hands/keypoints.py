"""The 21 hand keypoints in FreiHAND order (MediaPipe's order is the same)."""

from __future__ import annotations

WRIST = 0
FINGERS: dict[str, tuple[int, int, int, int]] = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "little": (17, 18, 19, 20),
}
NAMES: tuple[str, ...] = (
    "wrist",
    *(f"thumb {joint}" for joint in ("CMC", "MCP", "IP", "tip")),
    *(f"{finger} {joint}" for finger in list(FINGERS)[1:] for joint in ("MCP", "PIP", "DIP", "tip")),
)
COUNT = len(NAMES)
# (parent, child) pairs, from the wrist outwards.
BONES: tuple[tuple[int, int], ...] = tuple(
    pair for chain in FINGERS.values() for pair in zip((WRIST, *chain[:-1]), chain, strict=True)
)
