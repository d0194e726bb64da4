"""A folder of pictures with `annotations.npz`: image, intrinsics, and optionally keypoints_m and handedness."""

from __future__ import annotations

from pathlib import Path

from handdgp_core.datasets.files import DatasetFolder, checked_index
from handdgp_core.datasets.sample import LabelledHand, unknown_keypoints
from handdgp_core.errors import SourceError
from handdgp_core.sources.annotations import FILE_NAME, load_annotations
from handdgp_core.sources.images import read_image

__all__ = ["FramesFolder"]


class FramesFolder:
    """One sample per row of the annotations. Keypoints without a mesh: the vertices stay unknown.

    Args:
        root: holds `annotations.npz` and the pictures, in itself or in `images/`.

    Raises:
        DatasetError: no such folder, or an annotated picture is missing.
        SourceError: the annotations are damaged.
    """

    def __init__(self, root: str | Path) -> None:
        self._folder = DatasetFolder(root, "a frames folder", f"where {FILE_NAME} was made", (FILE_NAME,))
        self._annotations = load_annotations(self._folder.root)
        names = self._annotations.image
        if not names:
            raise self._folder.damaged(FILE_NAME, "it lists no image")
        below = self._folder.root / "images"
        self._images = "images/" if below.is_dir() and not (self._folder.root / names[0]).exists() else ""
        for name in dict.fromkeys(names):
            self._folder.file(self._images + name)

    def __len__(self) -> int:
        return len(self._annotations.image)

    def __getitem__(self, index: int) -> LabelledHand:
        index = checked_index(index, len(self))
        truth = self._annotations
        name = self._images + truth.image[index]
        try:
            image = read_image(self._folder.root / name, use_exif=False)
        except SourceError as error:
            raise self._folder.damaged(name, error.problem) from error
        return LabelledHand(
            image,
            truth.intrinsics[index],
            unknown_keypoints() if truth.keypoints_m is None else truth.keypoints_m[index],
            handedness="left" if truth.handedness is not None and truth.handedness[index] == "left" else "right",
            name=name,
        )
