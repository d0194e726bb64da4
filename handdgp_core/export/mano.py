"""mano.npz: MANO's parameters of every hand, fitted with the user's own MANO file (see `mano_fit`).

frame_index, stamp_ns   (N,) of the source
handedness, track_id    (N,)
mirrored                (N,) left hands are fitted as right ones in the mirrored image: x -> -x in everything here
pose_rad                (N, 48) rotation vectors: the wrist in the camera frame (x right, y down, z forward), then 15
                        joints in MANO's order, against a flat hand
shape                   (N, 10); of each frame alone
translation_m           (N, 3) added at the end
error_mm                (N,) root mean square distance of the model's keypoints to the hand's
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handdgp_core.arrays import Array, Handedness
from handdgp_core.export.mano_fit import ManoModel, ManoParameters, fit_mano
from handdgp_core.files import whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.licensed.mano import VERTEX_COUNT
from handdgp_core.types import Frame, Hand

__all__ = ["MIRROR", "HandFitter", "ManoTable"]

MIRROR = np.diag([-1.0, 1.0, 1.0])  # a left hand as a right one


@dataclass
class HandFitter:
    """Fits hands as they come; a followed hand starts where it was.

    Attributes:
        model: from the user's file.
    """

    model: ManoModel
    _before: dict[tuple[int, Handedness], ManoParameters] = field(default_factory=dict)

    def fit(self, hand: Hand, target_from_camera: Array) -> ManoParameters:
        """Parameters in a frame of your own; a mirror for a left hand. Args: a hand that has a place; (3, 3)."""
        is_own_mesh = len(hand.vertices_m) == VERTEX_COUNT
        found = fit_mano(
            self.model,
            hand.keypoints_m @ target_from_camera.T,
            hand.vertices_m @ target_from_camera.T if is_own_mesh else None,
            self._before.get((hand.track_id, hand.handedness)),
        )
        self._before[hand.track_id, hand.handedness] = found
        return found


class ManoTable:
    """Exporter: everything is written by `close`.

    Args:
        path: of the file; one that is there is replaced.

    Raises:
        AssetError: the user's MANO file is missing or is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fitter = HandFitter(ManoModel())
        self._rows: list[dict[str, Any]] = []
        self._closed = False

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        return 1024 * (64 + len(self._rows))

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self._path] if self._rows else []

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera | None = None) -> None:
        """Fit the hands that have a place."""
        for hand in hands:
            if hand.degenerate is None and np.isfinite(hand.keypoints_m).all():
                mirrored = hand.handedness == "left"
                found = self._fitter.fit(hand, MIRROR if mirrored else np.eye(3))
                self._rows.append(
                    {"frame_index": frame.index, "stamp_ns": frame.stamp_ns, "handedness": hand.handedness,
                     "track_id": hand.track_id, "mirrored": mirrored, "pose_rad": found.pose_rad,
                     "shape": found.shape, "translation_m": found.translation_m, "error_mm": 1e3 * found.error_m}
                )  # fmt: skip

    def close(self) -> None:
        """Write the file; none without a hand. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        if self._rows:
            columns: dict[str, Any] = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
            with whole_file(self._path) as part:
                np.savez_compressed(part, **columns)
