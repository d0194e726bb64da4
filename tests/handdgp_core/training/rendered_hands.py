"""Small pictures of the open hand with exact labels, as batches for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from scipy.spatial.transform import Rotation

from handdgp_core.datasets.sampling import BlockShuffle
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.training.config import TrainingConfig
from handdgp_core.training.data import ResumableLoader, make_loader

SIZE = 64
HAND_SCALE_M = 0.2
# The back of an upright hand towards the camera: the model's x (thumb), y (fingers), z (out of the palm) axes.
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])


class RenderedHands:
    """`count` hands of random pose, distance and place; two views of each that differ in scale and shift."""

    def __init__(self, count: int, size: int = SIZE, seed: int = 0, two_views: bool = True) -> None:
        hand = OpenHand.load()
        rng = np.random.default_rng(seed)
        dof = hand.clamped(hand.dof_mean_rad + 0.5 * hand.dof_sd_rad * rng.normal(size=(count, hand.dof_count)))
        turn = Rotation.from_rotvec(0.25 * rng.normal(size=(count, 3))).as_matrix() @ _UPRIGHT
        pose = HandPose(turn, dof, np.zeros((count, hand.shape_count)), rng.uniform(0.9, 1.1, count))
        self.vertices, self.keypoints = hand.forward(pose)
        depth = rng.uniform(0.35, 0.6, count)
        self.root = np.stack([rng.uniform(-0.05, 0.05, count), rng.uniform(0.0, 0.1, count), depth], axis=1)
        self.faces, self.size = hand.faces, size
        self._samples = [self._sample(number, rng, two_views) for number in range(count)]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._samples[index]

    def set_epoch(self, epoch: int) -> None:
        """The views do not change."""

    def _sample(self, number: int, rng: np.random.Generator, two_views: bool) -> dict[str, Any]:
        first = self._matrix(number, 1.0, np.zeros(2))
        sample: dict[str, Any] = {"view1": self._view(number, first)}
        if two_views:
            second = self._matrix(number, rng.uniform(0.85, 1.0), rng.uniform(-4, 4, 2))
            sample["view2"] = self._view(number, second)
            sample["uv2_from_uv1"] = _tensor(self._uv(second) @ np.linalg.inv(self._uv(first)))[:2]
        return sample

    def _uv(self, matrix: np.ndarray) -> np.ndarray:
        """Crop fractions from rays: pixel = fraction * size - 0.5."""
        uv_from_pixel = np.array([[1 / self.size, 0, 0.5 / self.size], [0, 1 / self.size, 0.5 / self.size], [0, 0, 1]])
        return uv_from_pixel @ matrix

    def _matrix(self, number: int, scale: float, shift: np.ndarray) -> np.ndarray:
        points = self.vertices[number] + self.root[number]
        plane = points[:, :2] / points[:, 2:]
        low, high = plane.min(0), plane.max(0)
        focal = 0.9 * self.size / (high - low).max() * scale
        center = 0.5 * (self.size - 1) - focal * 0.5 * (low + high) + shift
        return np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1.0]])

    def _view(self, number: int, matrix: np.ndarray) -> dict[str, torch.Tensor]:
        points = self.vertices[number] + self.root[number]
        pixels = points @ matrix.T
        image = np.full((self.size, self.size, 3), 60, dtype=np.uint8)
        image[:, ::8] = 90
        paint_mesh(image, ProjectedMesh(points, pixels[:, :2] / pixels[:, 2:], self.faces), (220, 170, 140), 1.0)
        joints = (self.keypoints[number] + self.root[number]) @ matrix.T
        known = torch.tensor(1.0)
        return {
            "image": torch.from_numpy(image).permute(2, 0, 1).float() / 255,
            "intrinsics": _tensor(matrix),
            "keypoints_uv": _tensor((joints[:, :2] / joints[:, 2:] + 0.5) / self.size),
            "vertices": _tensor(self.vertices[number] / HAND_SCALE_M),
            "root_m": _tensor(self.root[number]),
            "has_vertices": known,
            "has_keypoints_uv": known,
            "has_root": known,
        }


class RenderedData(LightningDataModule):
    """Loaders of rendered hands: the same for training and, in their order, for validation."""

    def __init__(self, hands: RenderedHands, config: TrainingConfig) -> None:
        super().__init__()
        self.hands, self.config = hands, config

    def train_dataloader(self) -> ResumableLoader:
        return make_loader(self.hands, BlockShuffle([len(self.hands)], self.config.seed), self.config, drop_last=True)

    def val_dataloader(self) -> ResumableLoader:
        order = BlockShuffle([len(self.hands)], shuffle=False)
        return make_loader(self.hands, order, self.config, drop_last=False)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
