"""ho3d/: images of one hand each in the layout of HO3D, with labels that the model made.

train.txt                                     a line "right_track3/000012" per image
train/right_track3/rgb/000012.jpg             the camera's image without the lens' distortion; mirrored for left hands,
                                              as HO3D has right hands alone
train/right_track3/meta/000012.pkl            camMat (3, 3); handJoints3D (21, 3) in MANO's order, tips from thumb to
                                              little finger last, metres, OpenGL axes (y up, z backwards)
about.json                                    what this is, and how certain each place is

With the user's own MANO file, meta files also hold handPose (48,), handBeta (10,) and handTrans (3,), fitted to the
keypoints, in the same axes. Without it they are left out, and so is everything of the object.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import AssetError
from handdgp_core.export.axes import target_from_opencv
from handdgp_core.export.mano import MIRROR, HandFitter
from handdgp_core.export.mano_fit import ManoModel
from handdgp_core.files import output_errors, write_bytes, write_json, write_text
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.licensed.mano import JOINT_OF_KEYPOINT, TIP_VERTICES
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.sessions.stored_images import encode_jpeg
from handdgp_core.types import Frame, Hand

__all__ = ["Ho3dFolder"]

_QUALITY = 95
_KEYPOINTS = [*sorted(JOINT_OF_KEYPOINT, key=JOINT_OF_KEYPOINT.__getitem__), *TIP_VERTICES]  # in HO3D's order


class Ho3dFolder:
    """Exporter: an image a hand; `close` writes the list.

    Args:
        folder: made with the first hand.
    """

    reserve_bytes = 1 << 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: list[tuple[str, str]] = []
        self._about: list[dict[str, Any]] = []
        self._fitter = _fitter()
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        if not self._listed:
            return []
        found = [self.folder / "train.txt", self.folder / "about.json"]
        for sequence, number in self._listed:
            found += [self._path(sequence, "rgb", f"{number}.jpg"), self._path(sequence, "meta", f"{number}.pkl")]
        return found

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Add the hands that have a place. Raises OutputError."""
        for hand in hands:
            if hand.degenerate is None and np.isfinite(hand.keypoints_m).all():
                self._add(frame, hand, camera)

    def close(self) -> None:
        """Writes the list. A second call does nothing. Raises OutputError."""
        if self._closed or not self._listed:
            return
        self._closed = True
        note = "Labels predicted by a model with HandDGP Live: not measured, not corrected by hand."
        write_json(self.folder / "about.json", {"note": note, "units": "metres", "images": self._about})
        write_text(self.folder / "train.txt", "".join(f"{'/'.join(place)}\n" for place in self._listed))

    def _path(self, sequence: str, kind: str, name: str) -> Path:
        return self.folder / "train" / sequence / kind / name

    def _add(self, frame: Frame, hand: Hand, camera: Camera) -> None:
        sequence, number = f"{hand.handedness}_track{hand.track_id}", f"{frame.index:06d}"
        mirrored = hand.handedness == "left"
        image, matrix = _without_lens(frame.image, camera), camera.matrix.copy()
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            matrix[0, 2] = image.shape[1] - 1 - matrix[0, 2]
        turn = target_from_opencv("opengl") @ (MIRROR if mirrored else np.eye(3))
        meta: dict[str, Any] = {"camMat": matrix, "handJoints3D": (hand.keypoints_m @ turn.T)[_KEYPOINTS]}
        entry = {"image": f"{sequence}/{number}", "mirrored": mirrored, "score": round(hand.score, 4),
                 "distance_std_m": round(float(distance_std_m(hand)), 7)}  # fmt: skip
        if self._fitter is not None:
            found = self._fitter.fit(hand, turn)
            meta |= {"handPose": found.pose_rad, "handBeta": found.shape, "handTrans": found.translation_m}
            entry["mano_error_m"] = round(found.error_m, 7)
        with output_errors(self.folder):
            for kind in ("rgb", "meta"):
                self._path(sequence, kind, "").mkdir(parents=True, exist_ok=True)
        write_bytes(self._path(sequence, "rgb", f"{number}.jpg"), encode_jpeg(image, _QUALITY))
        write_bytes(self._path(sequence, "meta", f"{number}.pkl"), _pickled(meta))
        self._listed.append((sequence, number))
        self._about.append(entry)


def _fitter() -> HandFitter | None:
    try:
        return HandFitter(ManoModel())
    except AssetError:
        return None


def _pickled(meta: dict[str, Any]) -> bytes:
    """As NumPy 1 would have written it, which HO3D's users have: NumPy 2 moved the module of its arrays' maker."""
    return pickle.dumps(meta, protocol=2).replace(b"cnumpy._core.", b"cnumpy.core.")


def _without_lens(image: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """The image that a pinhole camera of the same matrix would have taken; black where the lens shows nothing."""
    if not camera.has_distortion:
        return image
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1).reshape(-1, 3)
    seen: Array = camera.project(pixels @ np.linalg.inv(camera.matrix).T)
    places = np.nan_to_num(seen, nan=-1e6).reshape(camera.height, camera.width, 2).astype(np.float32)
    return np.asarray(cv2.remap(image, places, None, cv2.INTER_LINEAR), dtype=np.uint8)
