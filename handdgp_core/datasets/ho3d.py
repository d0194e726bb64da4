"""HO3D, version 2 (and 3, which is laid out alike): right hands that handle objects.

Files, as published: train.txt and evaluation.txt with a line "SEQUENCE/0000" per picture; train/SEQUENCE/rgb/0000.png
(.jpg in version 3) and train/SEQUENCE/meta/0000.pkl; evaluation/ likewise. A meta file is a pickled dict; those of the
evaluation split know the root (handJoints3D (3,)) and a box (handBoundingBox), no more.

Everything 3D in them is in OpenGL axes (y up, z backwards), and the joints are in MANO's order with the five finger
tips last. Here both become this project's: OpenCV axes, FreiHAND order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.datasets.files import DatasetFolder, checked_index
from handdgp_core.datasets.sample import LabelledHand, MeshFromParameters, unknown_keypoints
from handdgp_core.errors import AssetError, SourceError, UsageError
from handdgp_core.hands.licensed.restricted_pickle import read_pickle
from handdgp_core.sources.images import read_image

__all__ = ["CAMERA_FROM_OPENGL", "FREIHAND_FROM_HO3D", "HO3D"]

ORIGIN = "https://www.tugraz.at/index.php?id=40231 (HO-3D_v2.zip)"
CAMERA_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
# HO3D: wrist; index, middle, little, ring, thumb, three each from the palm; then the tips from thumb to little finger.
FREIHAND_FROM_HO3D = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
SUFFIXES = (".png", ".jpg")


class HO3D:
    """One split, in the order of its list.

    Args:
        root: the folder that holds train/, evaluation/, train.txt and evaluation.txt.
        split: which one.
        mesh_from_parameters: MANO (flat mean hand) for the training split's meshes; without it there are none.

    Raises:
        DatasetError: the root is none of HO3D's, or a file is missing or cut short.
        UsageError: an unknown split.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "evaluation"] = "train",
        mesh_from_parameters: MeshFromParameters | None = None,
    ) -> None:
        if split not in ("train", "evaluation"):
            raise UsageError(f"HO3D has no split {split!r}.", hint="Choose train or evaluation.")
        self.split = split
        self._mesh = mesh_from_parameters
        self._folder = DatasetFolder(root, "HO3D v2", ORIGIN, (split, f"{split}.txt"))
        self.frames = self._listed()
        self._suffixes = self._check_files()

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> LabelledHand:
        sequence, number = self.frames[checked_index(index, len(self))]
        picture = f"{self.split}/{sequence}/rgb/{number}{self._suffixes[sequence]}"
        meta_name = f"{self.split}/{sequence}/meta/{number}.pkl"
        try:
            image = read_image(self._folder.root / picture, use_exif=False)
        except SourceError as error:
            raise self._folder.damaged(picture, error.problem) from error
        meta = self._meta(meta_name)
        joints = self._numbers(meta_name, meta, "handJoints3D")
        return LabelledHand(
            image,
            self._camera(meta_name, meta),
            self._keypoints(meta_name, joints),
            self._vertices(meta_name, meta),
            name=picture,
            box_px=self._box(meta_name, meta),
        )

    def _listed(self) -> list[tuple[str, str]]:
        name = f"{self.split}.txt"
        frames: list[tuple[str, str]] = []
        for line in self._folder.file(name).read_text(encoding="utf-8", errors="replace").split():
            sequence, slash, number = line.partition("/")
            if not (slash and sequence and number.isdecimal()) or ".." in sequence:
                raise self._folder.damaged(name, f"its line {line[:60]!r} is not SEQUENCE/NUMBER")
            frames.append((sequence, number))
        if not frames:
            raise self._folder.damaged(name, "it is empty")
        return frames

    def _check_files(self) -> dict[str, str]:
        """The pictures' suffix by sequence, once every listed picture and meta file is there."""
        numbers: dict[str, list[str]] = {}
        for sequence, number in self.frames:
            numbers.setdefault(sequence, []).append(number)
        suffixes = {}
        for sequence, listed in numbers.items():
            folder = f"{self.split}/{sequence}"
            present = {entry.name for entry in os.scandir(self._folder.folder(f"{folder}/rgb"))}
            suffixes[sequence] = next((s for s in SUFFIXES if listed[0] + s in present), SUFFIXES[0])
            self._folder.check_all_present(f"{folder}/rgb", (number + suffixes[sequence] for number in listed))
            self._folder.check_all_present(f"{folder}/meta", (f"{number}.pkl" for number in listed))
        return suffixes

    def _meta(self, name: str) -> Mapping[str, Any]:
        try:
            meta = read_pickle(self._folder.root / name, "a meta file of HO3D", self._folder.hint)
        except AssetError as error:
            raise self._folder.damaged(name, error.problem) from error
        if not isinstance(meta, Mapping):
            raise self._folder.damaged(name, f"it holds a {type(meta).__name__} instead of a dict")
        return meta

    def _numbers(self, name: str, meta: Mapping[str, Any], key: str) -> Array:
        try:
            values = np.asarray(meta[key], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise self._folder.damaged(name, f"its {key!r} is missing or holds no numbers") from error
        if not np.isfinite(values).all():
            raise self._folder.damaged(name, f"its {key!r} holds None or NaN")
        return values

    def _camera(self, name: str, meta: Mapping[str, Any]) -> Array:
        matrix = self._numbers(name, meta, "camMat")
        if matrix.shape != (3, 3):
            raise self._folder.damaged(name, f"its 'camMat' has the shape {matrix.shape}")
        return matrix

    def _keypoints(self, name: str, joints: Array) -> Array:
        keypoints = unknown_keypoints()
        if joints.shape == (21, 3):
            keypoints = joints[FREIHAND_FROM_HO3D, :]
        elif joints.size == 3:  # the root alone
            keypoints[0] = joints.reshape(3)
        else:
            raise self._folder.damaged(name, f"its 'handJoints3D' has the shape {joints.shape}")
        return keypoints @ CAMERA_FROM_OPENGL

    def _vertices(self, name: str, meta: Mapping[str, Any]) -> Array | None:
        if self._mesh is None or self.split == "evaluation":
            return None
        pose, shape, translation = (self._numbers(name, meta, key) for key in ("handPose", "handBeta", "handTrans"))
        return self._mesh(pose.reshape(-1), shape.reshape(-1), translation.reshape(-1)) @ CAMERA_FROM_OPENGL

    def _box(self, name: str, meta: Mapping[str, Any]) -> Array | None:
        if meta.get("handBoundingBox") is None:
            return None
        box = self._numbers(name, meta, "handBoundingBox").reshape(-1)
        if box.shape != (4,):
            raise self._folder.damaged(name, f"its 'handBoundingBox' has {box.size} numbers")
        return box
