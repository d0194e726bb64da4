"""FreiHAND, version 2: 32,560 right hands over four backgrounds each, and 3,960 to be evaluated on.

Files, as published: training/rgb/00000000.jpg and so on, the four versions of sample i at i + 32560 * version;
training_K.json, training_xyz.json, training_verts.json; evaluation/rgb, evaluation_K.json and, in the release of 2021,
evaluation_xyz.json and evaluation_verts.json. Camera frame and keypoint order are this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handdgp_core.datasets.files import DatasetFolder, checked_index
from handdgp_core.datasets.number_lists import cached_array, default_cache
from handdgp_core.datasets.sample import LabelledHand, unknown_keypoints
from handdgp_core.errors import SourceError, UsageError
from handdgp_core.sources.images import read_image

__all__ = ["BACKGROUNDS", "FreiHAND"]

# In the order of the file numbers: as recorded before green, and three ways to put other backgrounds behind the hand.
BACKGROUNDS = ("gs", "hom", "sample", "auto")
ORIGIN = "https://lmb.informatik.uni-freiburg.de/projects/freihand/ (FreiHAND_pub_v2.zip and FreiHAND_pub_v2_eval.zip)"
SHAPES = {"K": (3, 3), "xyz": (21, 3), "verts": (778, 3)}


class FreiHAND:
    """One split. Sample n of the training split is hand n % H before background n // H, H the number of hands.

    Args:
        root: the folder that holds training/ or evaluation/ and the JSON files.
        split: which one.
        backgrounds: versions of the training split to use; the evaluation split has one only.
        cache: folder for the converted JSON files (0.4 GB); the user's cache folder where not given.

    Raises:
        DatasetError: the root is none of FreiHAND's, or a file is missing or cut short.
        UsageError: an unknown split or background.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["training", "evaluation"] = "training",
        backgrounds: Sequence[str] = BACKGROUNDS,
        cache: Path | None = None,
    ) -> None:
        if split not in ("training", "evaluation"):
            raise UsageError(f"FreiHAND has no split {split!r}.", hint="Choose training or evaluation.")
        unknown = [name for name in backgrounds if name not in BACKGROUNDS]
        if unknown or not backgrounds:
            raise UsageError(
                f"FreiHAND has no backgrounds {unknown or list(backgrounds)}.",
                hint=f"Choose among {', '.join(BACKGROUNDS)}.",
            )
        self.split = split
        self._versions = [BACKGROUNDS.index(name) for name in backgrounds] if split == "training" else [0]
        self._folder = DatasetFolder(root, "FreiHAND v2", ORIGIN, (split, f"{split}_K.json"))
        self._cache = cache or default_cache()
        self._arrays = self._convert()
        self._maps: dict[str, NDArray[np.float32]] = {}
        self.hand_count = len(self._array("K"))
        self._check_labels()
        numbers = (hand + self.hand_count * version for version in self._versions for hand in range(self.hand_count))
        self._folder.check_all_present(f"{split}/rgb", (f"{number:08d}.jpg" for number in numbers))

    @property
    def has_labels(self) -> bool:
        """Whether there are keypoints and vertices. The evaluation split of 2019 has none."""
        return "xyz" in self._arrays

    def __len__(self) -> int:
        return self.hand_count * len(self._versions)

    def __getitem__(self, index: int) -> LabelledHand:
        index = checked_index(index, len(self))
        version, hand = divmod(index, self.hand_count)
        name = f"{self.split}/rgb/{hand + self.hand_count * self._versions[version]:08d}.jpg"
        try:
            image = read_image(self._folder.root / name, use_exif=False)
        except SourceError as error:
            raise self._folder.damaged(name, error.problem) from error
        height, width = image.shape[:2]
        return LabelledHand(
            image,
            self._array("K")[hand].astype(np.float64),
            self._array("xyz")[hand].astype(np.float64) if self.has_labels else unknown_keypoints(),
            self._array("verts")[hand].astype(np.float64) if self.has_labels else None,
            name=name,
            mask_file=self._mask(hand),
            # Without keypoints the whole picture: FreiHAND's are cut around the hand already.
            box_px=None if self.has_labels else np.array([-0.5, -0.5, width - 0.5, height - 0.5]),
        )

    def _mask(self, hand: int) -> Path | None:
        """Training hands have a silhouette, which goes for all versions of their image."""
        file = self._folder.root / f"training/mask/{hand:08d}.jpg"
        return file if self.split == "training" and file.exists() else None

    def _convert(self) -> dict[str, Path]:
        names = list(SHAPES)
        labelled = [name for name in names[1:] if (self._folder.root / f"{self.split}_{name}.json").exists()]
        if self.split == "evaluation" and not labelled:
            names = names[:1]
        return {name: self._converted(name) for name in names}

    def _converted(self, name: str) -> Path:
        file = f"{self.split}_{name}.json"
        try:
            return cached_array(self._folder.file(file), SHAPES[name], self._cache)
        except ValueError as error:
            raise self._folder.damaged(file, str(error)) from error

    def _array(self, name: str) -> NDArray[np.float32]:
        if name not in self._maps:
            self._maps[name] = np.load(self._arrays[name], mmap_mode="r")
        return self._maps[name]

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes: maps stay behind, each process opens its own."""
        return {**self.__dict__, "_maps": {}}

    def _check_labels(self) -> None:
        for name in self._arrays:
            count = len(self._array(name))
            if count != self.hand_count:
                reason = f"it has {count} items, while {self.split}_K.json has {self.hand_count}"
                raise self._folder.damaged(f"{self.split}_{name}.json", reason)
