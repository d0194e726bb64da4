"""A folder in the layout of the FreiHAND data set: pictures of one hand each, with labels that the model made.

training/rgb/00000000.jpg    224 x 224, the lens' distortion removed; left hands are mirrored, as FreiHAND has right
                             hands alone
training_K.json              (N, 3, 3) of the picture
training_xyz.json            (N, 21, 3) keypoints, metres, camera frame of the picture
training_verts.json          (N, V, 3) vertices; V as the hand model has it (MANO's 778 only where a model uses it)
training_scale.json          (N,) length of the bone between the middle finger's MCP and PIP, metres
about.json                   what this is, and of which frame, hand and model every picture is; how certain its place
                             is (distance_std_m, root_covariance_m2 in the frame of the picture)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.export.hand_mesh import has_mesh
from handdgp_core.files import output_errors, part_of, remove, whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand

__all__ = ["FreiHandFolder"]

SIZE_PX = 224
_MARGIN = 1.35
_QUALITY = 95
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_SCALE_BONE = (9, 10)
_LISTS = ("K", "xyz", "verts", "scale")


class FreiHandFolder:
    """Exporter: one picture a hand; `close` completes the lists.

    Args:
        folder: made with the first hand.
    """

    reserve_bytes = 1 << 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self._about: list[dict[str, Any]] = []
        self._lists: dict[str, BinaryIO] = {}
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        if not self.count:
            return []
        names = [*(f"training_{name}.json" for name in _LISTS), "about.json"]
        return [*(self.folder / name for name in names), *(self._image_path(number) for number in range(self.count))]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Add the hands that have a place. Raises OutputError."""
        for hand in hands:
            if has_mesh(hand):
                with output_errors(self.folder):
                    self._add(frame, hand, camera)

    def close(self) -> None:
        """Completes the lists. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        try:
            with output_errors(self.folder):
                for name, file in self._lists.items():
                    file.write(b"]")
                    file.close()
                    part_of(self._path(name)).replace(self._path(name))
                if self.count:
                    self._write_about()
        finally:
            for name, file in self._lists.items():
                file.close()
                remove(part_of(self._path(name)))

    def _image_path(self, number: int) -> Path:
        return self.folder / "training" / "rgb" / f"{number:08d}.jpg"

    def _path(self, name: str) -> Path:
        return self.folder / f"training_{name}.json"

    def _add(self, frame: Frame, hand: Hand, camera: Camera) -> None:
        if not self._lists:
            (self.folder / "training" / "rgb").mkdir(parents=True, exist_ok=True)
            for name in _LISTS:
                self._lists[name] = open(part_of(self._path(name)), "wb")  # noqa: SIM115 - closed by close()
        turn = _MIRROR if hand.handedness == "left" else np.eye(3)
        view = _view(camera, hand, turn)
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(view.warp(frame.image), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        assert done
        with whole_file(self._image_path(self.count)) as part:
            part.write_bytes(data.tobytes())
        keypoints_m, vertices_m = hand.keypoints_m @ turn.T, hand.vertices_m @ turn.T
        length = float(np.linalg.norm(keypoints_m[_SCALE_BONE[0]] - keypoints_m[_SCALE_BONE[1]]))
        for name, values in zip(_LISTS, (view.matrix, keypoints_m, vertices_m, np.array(length)), strict=True):
            text = json.dumps(np.round(values, 7).tolist(), separators=(",", ":"))
            self._lists[name].write((b"[" if self.count == 0 else b",") + text.encode())
        self._about.append(
            {"frame_index": frame.index, "handedness": hand.handedness, "mirrored": hand.handedness == "left",
             "score": round(hand.score, 4), "distance_std_m": round(distance_std_m(hand), 7),
             "root_covariance_m2": (turn @ hand.root_covariance_m2 @ turn.T).tolist()}
        )  # fmt: skip
        self.count += 1

    def _write_about(self) -> None:
        note = "Labels predicted by a model with HandDGP Live: not measured, not corrected by hand."
        content = {"note": note, "units": "metres", "pictures": self._about}
        with whole_file(self.folder / "about.json") as part:
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _view(camera: Camera, hand: Hand, turn: Array) -> Rectification:
    """A picture of the hand without rotation: the camera's own axes, a part of its image plane."""
    points = hand.vertices_m @ turn.T
    plane = points[:, :2] / points[:, 2:]
    low, high = plane.min(axis=0), plane.max(axis=0)
    half = 0.5 * _MARGIN * float((high - low).max())
    focal = SIZE_PX / (2.0 * half)
    middle = 0.5 * (SIZE_PX - 1)
    matrix = np.array([[focal, 0, middle - focal * 0.5 * (low[0] + high[0])],
                       [0, focal, middle - focal * 0.5 * (low[1] + high[1])], [0, 0, 1]])  # fmt: skip
    corners = np.array([[-0.5, -0.5], [SIZE_PX - 0.5, -0.5], [SIZE_PX - 0.5, SIZE_PX - 0.5], [-0.5, SIZE_PX - 0.5]])
    rays = np.concatenate([corners, np.ones((4, 1))], axis=1) @ np.linalg.inv(matrix).T @ turn
    return Rectification(camera, SIZE_PX, matrix, turn, camera.project(rays))
