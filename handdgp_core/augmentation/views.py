"""A data set's samples as views ready for the GPU: what a DataLoader loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from handdgp_core.augmentation.appearance import draw_appearance
from handdgp_core.augmentation.geometry import ViewGeometry, draw_geometry, uv2_from_uv1
from handdgp_core.augmentation.patches import cut_patch
from handdgp_core.augmentation.settings import AppearanceSettings, ViewSettings
from handdgp_core.augmentation.silhouettes import silhouette
from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand, LabelledHands
from handdgp_core.errors import HandDGPError, UsageError

__all__ = ["ViewPairs"]

_APPEARANCE = 1  # a stream of its own, so that pixels can vary without moving the geometry


class ViewPairs(Dataset[dict[str, Any]]):
    """Samples of a data set with drawn views. The same (seed, epoch, index) gives the same sample, in any process.

    Args:
        hands: the data set.
        vertex_count: V of the network's mesh. A data set with another mesh is an error, one without any is not.
        views: how the views look; `.steady()` for validation.
        appearance: how pixels vary.
        view_count: 2 for training, 1 for validation.
        seed: of everything random.
        hand_scale_m: metres in one unit of the root-relative vertices.
        keypoint_count: K of the network.
        silhouette_faces: (F, 3) of the network's mesh where silhouettes are wanted: patches get a fourth channel.

    Raises:
        UsageError: neither one nor two views.
    """

    def __init__(
        self,
        hands: LabelledHands,
        vertex_count: int,
        views: ViewSettings | None = None,
        appearance: AppearanceSettings | None = None,
        view_count: int = 2,
        seed: int = 0,
        hand_scale_m: float = 0.2,
        keypoint_count: int = 21,
        silhouette_faces: NDArray[np.integer] | None = None,
    ) -> None:
        if view_count not in (1, 2):
            raise UsageError(f"Could not draw {view_count} views of a sample.", hint="Choose 1 or 2.")
        self.hands = hands
        self.vertex_count, self.keypoint_count = vertex_count, keypoint_count
        self.views = views or ViewSettings()
        self.appearance = appearance or AppearanceSettings()
        self.view_count = view_count
        self.seed = seed
        self.silhouette_faces = silhouette_faces
        self.hand_scale_m = hand_scale_m
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by loader processes that stay alive

    def __len__(self) -> int:
        return len(self.hands)

    @property
    def lengths(self) -> Sequence[int]:
        """Samples of every block of the data set that is best read together."""
        lengths: Sequence[int] = getattr(self.hands, "lengths", [len(self.hands)])
        return lengths

    def set_epoch(self, epoch: int) -> None:
        """Other random draws for the same samples. Call it before the loader is iterated."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One sample.

        Returns:
            "patch" (3, P, P) uint8 and "filled" (2,): see `patches`. "index": scalar. "view1" (and "view2"): labels
            as in the training batch, less the image; "virtual_from_camera" (3, 3) to turn predictions back;
            "view_from_patch" (3, 3) and the numbers of `appearance`, which `render_views` uses up. With two views
            "uv2_from_uv1" (2, 3).

        Raises:
            DatasetError: the sample cannot be read, or has another mesh.
        """
        sample = self.hands[index]
        self._check(sample)
        key = [self.seed, int(self._epoch), index]
        geometry = self._geometry(sample, np.random.default_rng(key))
        image, has_silhouette = self._image(sample)
        patch = cut_patch(image, geometry, self.views.patch_size)
        image_from_patch = np.linalg.inv(patch.patch_from_image)
        pixels = np.random.default_rng([*key, _APPEARANCE])
        result: dict[str, Any] = {
            "patch": torch.from_numpy(patch.pixels).permute(2, 0, 1).contiguous(),
            "filled": torch.tensor(patch.filled),
            "index": torch.tensor(index),
        }
        for view in range(self.view_count):
            numbers = self._labels(sample, geometry, view)
            if self.silhouette_faces is not None:
                numbers["has_silhouette"] = np.asarray(has_silhouette)
            numbers["view_from_patch"] = geometry.view_from_image(view) @ image_from_patch
            result[f"view{view + 1}"] = _tensors(numbers | draw_appearance(self.appearance, pixels))
        if self.view_count == 2:
            result["uv2_from_uv1"] = torch.from_numpy(uv2_from_uv1(geometry).astype(np.float32))
        return result

    def _image(self, sample: LabelledHand) -> tuple[NDArray[np.uint8], bool]:
        """The sample's image, with its silhouette as a fourth channel where that is wanted, and whether it is known."""
        if self.silhouette_faces is None:
            return sample.image, False
        mask = silhouette(sample, self.silhouette_faces)
        channel = np.zeros(sample.image.shape[:2], np.uint8) if mask is None else mask
        return np.dstack([sample.image, channel]), mask is not None

    def _geometry(self, sample: LabelledHand, rng: np.random.Generator) -> ViewGeometry:
        try:
            return draw_geometry(sample, self.views, rng, self.view_count)
        except HandDGPError as error:
            raise DatasetError(f"Could not draw a view of {sample.name}: {error.problem}", hint=error.hint) from error

    def _labels(self, sample: LabelledHand, geometry: ViewGeometry, view: int) -> dict[str, NDArray[Any]]:
        """Labels in the view. What is unknown is 0 and its flag, too."""
        turn = geometry.virtual_from_camera
        uv = geometry.keypoints_uv(sample.keypoints_m, view)
        root = sample.keypoints_m[0] @ turn.T
        vertices = np.full((self.vertex_count, 3), np.nan)
        if sample.vertices_m is not None:
            vertices = (sample.vertices_m - sample.keypoints_m[0]) @ turn.T / self.hand_scale_m
        labels = {"keypoints_uv": uv, "vertices": vertices, "root_m": root}
        flags = {f"has_{name.removesuffix('_m')}": np.isfinite(value).all() for name, value in labels.items()}
        known = {
            name: value if flags[f"has_{name.removesuffix('_m')}"] else np.zeros_like(value)
            for name, value in labels.items()
        }
        return {
            **known,
            **{name: np.asarray(flag) for name, flag in flags.items()},
            "intrinsics": geometry.matrices[view],
            "virtual_from_camera": turn,
            "source_size_px": np.asarray(self.views.size * sample.matrix[0, 0] / geometry.matrices[view][0, 0]),
        }

    def _check(self, sample: LabelledHand) -> None:
        if sample.vertices_m is not None and len(sample.vertices_m) != self.vertex_count:
            raise DatasetError(
                f"{sample.name} has {len(sample.vertices_m)} vertices, the hand model {self.vertex_count}.",
                hint="Choose the hand model whose mesh the data set has.",
            )
        if sample.keypoints_m.shape != (self.keypoint_count, 3):
            raise DatasetError(
                f"{sample.name} has keypoints of shape {sample.keypoints_m.shape}, the model {self.keypoint_count}."
            )


def _tensors(numbers: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in numbers.items()}
