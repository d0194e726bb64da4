"""Data sets and templates by the names that a configuration gives them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.datasets.frames import FramesFolder
from handdgp_core.datasets.freihand import FreiHAND
from handdgp_core.datasets.ho3d import HO3D
from handdgp_core.datasets.human36m import Human36M
from handdgp_core.datasets.parametric_meshes import mano_mesh, smpl_mesh
from handdgp_core.datasets.sample import LabelledHand, LabelledHands
from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import UsageError
from handdgp_core.files import expanded
from handdgp_core.hands.licensed.body import body_template
from handdgp_core.hands.licensed.mano import mano_template
from handdgp_core.hands.open_hand.open_template import open_hand_template
from handdgp_core.hands.topology.template import Template

__all__ = ["JoinedHands", "open_dataset", "open_template"]


def open_template(name: str, model_folder: str = "") -> Template:
    """The template "open", "mano" or "body".

    Args:
        name: which one.
        model_folder: where licensed model files lie; empty for the program's usual place.

    Raises:
        UsageError: another name.
        AssetError: a file is missing.
    """
    folder = Path(model_folder) if model_folder else None
    if name == "open":
        return open_hand_template()
    if name == "mano":
        return mano_template(folder)
    if name == "body":
        return body_template(folder)
    raise UsageError(f"There is no template {name!r}.", hint="Choose one of open, mano, body.")


def open_dataset(config: DatasetConfig, template: Template, model_folder: str = "") -> LabelledHands:
    """A data set by its configuration.

    Raises:
        DatasetError: the root is not what it should be; the message names the missing file.
        AssetError: the data set needs a licensed model that is not there.
        UsageError: an unknown split.
    """
    root, split = expanded(config.root), config.split
    folder = Path(model_folder) if model_folder else None
    readers: dict[str, Callable[[], LabelledHands]] = {
        "freihand": lambda: FreiHAND(root, split or "training"),  # type: ignore[arg-type]
        "ho3d": lambda: _ho3d(root, split or "train", folder),
        "h36m": lambda: Human36M(
            root,
            split or "train",  # type: ignore[arg-type]
            smpl_mesh(folder),
            template.keypoint_regressor,
            fit_error_mm=config.fit_error_mm,
        ),
        "frames": lambda: FramesFolder(root),
        "shards": lambda: Shards(root),
    }
    return readers[config.name]()


def _ho3d(root: Path, split: str, model_folder: Path | None) -> HO3D:
    mesh = None if split == "evaluation" else mano_mesh(model_folder)  # that split has no parameters to make one from
    return HO3D(root, split, mesh)  # type: ignore[arg-type]


class JoinedHands:
    """Several data sets one after the other, each as often and as far as its configuration asks.

    Attributes:
        parts: the data sets.
        lengths: samples of every block of consecutive ones that are best read together.

    Raises:
        UsageError: no data set, or none with a sample.
    """

    def __init__(self, parts: Sequence[LabelledHands], configs: Sequence[DatasetConfig]) -> None:
        self.parts = parts
        self._blocks: list[tuple[LabelledHands, int]] = []  # data set, first sample
        self.lengths: list[int] = []
        for part, config in zip(parts, configs, strict=True):
            for _ in range(config.repeat):
                self._append(part, len(part) if config.limit is None else min(config.limit, len(part)))
        if not self.lengths:
            raise UsageError(
                "There is no data set with samples.",
                hint="Name one under data.train, such as --set data.train.0.root=DIR.",
            )
        self._ends = [sum(self.lengths[: number + 1]) for number in range(len(self.lengths))]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> LabelledHand:
        number = bisect_right(self._ends, index)
        if index < 0 or number == len(self._blocks):
            raise IndexError(f"{index} of {len(self)}")
        part, first = self._blocks[number]
        return part[first + index - (self._ends[number] - self.lengths[number])]

    def _append(self, part: LabelledHands, count: int) -> None:
        first = 0
        for length in getattr(part, "lengths", [len(part)]):
            used = min(length, count - first)
            if used <= 0:
                return
            self._blocks.append((part, first))
            self.lengths.append(used)
            first += used
