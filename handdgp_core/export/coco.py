"""coco.json: hands in the form of COCO-WholeBody, one annotation a hand.

Keypoints are `lefthand_kpts` or `righthand_kpts`, 21 times (x, y, v) in pixels, with v = 2; a keypoint outside of the
image has v = 0 and the place 0, 0. COCO counts pixels from the corner of the first one, this program from its centre:
0.5 is added. What COCO has no place for stands beside it: `keypoints_camera_m` and `root_m` (OpenCV camera frame),
`keypoint_weights`, `distance_std_m`, and the camera's matrix with every image. Labels are predicted, not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handdgp_core.files import write_json
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand

__all__ = ["CocoFile"]

_CORNER_PX = 0.5
_PERSON = 1
_DECIMALS_PX, _DECIMALS_M = 3, 7


class CocoFile:
    """Exporter: everything is written by `close`.

    Args:
        path: of the file; one that is there is replaced.
    """

    reserve_bytes = 1 << 20

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self._path]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Add a frame and the hands that have a place."""
        height, width = frame.image.shape[:2]
        image_id = len(self._images) + 1
        name = frame.name or f"{frame.index:06d}.jpg"
        self._images.append(
            {"id": image_id, "file_name": name, "width": width, "height": height, "frame_index": frame.index,
             "camera_matrix": camera.matrix.tolist(), "distortion": camera.distortion.tolist(),
             "lens": camera.lens, "camera_is_assumed": camera.source == "assumed"}
        )  # fmt: skip
        for hand in hands:
            if hand.degenerate is None:
                self._annotations.append(
                    {"id": len(self._annotations) + 1, "image_id": image_id, **_annotation(hand, width, height)}
                )

    def close(self) -> None:
        """Write the file. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        content = {
            "info": {"description": "Hands predicted with HandDGP Live: not measured, not corrected by hand."},
            "licenses": [],
            "categories": [{"id": _PERSON, "name": "person", "supercategory": "person"}],
            "images": self._images,
            "annotations": self._annotations,
        }
        write_json(self._path, content)


def _annotation(hand: Hand, width: int, height: int) -> dict[str, Any]:
    places = hand.keypoints_px + _CORNER_PX
    inside = np.all((places >= 0) & (places <= np.array([width, height])), axis=1)
    shown = np.concatenate([np.where(inside[:, None], places, 0.0), 2.0 * inside[:, None]], axis=1)
    low, high = (np.clip(edge, 0, (width, height)) for edge in (places.min(axis=0), places.max(axis=0)))
    box = np.round([*low, *(high - low)], _DECIMALS_PX).tolist()
    own, other = f"{hand.handedness}hand", "lefthand" if hand.handedness == "right" else "righthand"
    return {
        "category_id": _PERSON,
        "iscrowd": 0,
        "bbox": box,
        "area": box[2] * box[3],
        "score": round(hand.score, 4),
        f"{own}_kpts": np.round(shown, _DECIMALS_PX).ravel().tolist(),
        f"{own}_box": box,
        f"{own}_valid": True,
        f"{other}_kpts": [0.0] * (3 * COUNT),
        f"{other}_box": [0.0] * 4,
        f"{other}_valid": False,
        "track_id": hand.track_id,
        "keypoints_camera_m": np.round(hand.keypoints_m, _DECIMALS_M).tolist(),
        "root_m": np.round(hand.root_m, _DECIMALS_M).tolist(),
        "keypoint_weights": np.round(hand.weights, 4).tolist(),
        "distance_std_m": _number(distance_std_m(hand)),
    }


def _number(value: float) -> float | None:
    return round(value, _DECIMALS_M) if np.isfinite(value) else None
