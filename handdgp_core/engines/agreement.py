"""How far an engine's hands are from PyTorch's, on drawn hands that come with the program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.bundled import bundled
from handdgp_core.engines.protocol import Engine, EngineOutput, Floats
from handdgp_core.errors import AssetError, UsageError
from handdgp_core.geometry.positioning import position
from handdgp_core.networks.checkpoints.plan import Planned
from handdgp_core.plain_files import read_npz

if TYPE_CHECKING:  # PyTorch: not for whoever only reads how an engine agreed
    from handdgp_core.networks.handdgp import HandDGP

__all__ = ["Agreement", "agreement", "compare", "sample_crops"]

CROPS = bundled("assets/engines/crops.npz")
MOST_ROOT_MM, MOST_KEYPOINT_PX = 0.1, 0.1


class Agreement(NamedTuple):
    """Largest differences over some crops.

    Attributes:
        root_mm: of the roots that DGP finds.
        keypoint_px: of keypoints in the crop, pixels; infinite where either is not finite.
    """

    root_mm: float
    keypoint_px: float

    def check(self, subject: Path | str) -> None:
        """
        Raises:
            UsageError: the subject's hands are not PyTorch's.
        """
        if not self.is_enough:
            raise UsageError(
                f"{subject} would not give PyTorch's hands in ONNX Runtime: they differ by {self.root_mm:.3g} mm of "
                f"root and {self.keypoint_px:.3g} px, with {MOST_ROOT_MM} and {MOST_KEYPOINT_PX} allowed.",
                hint="Please report this.",
            )

    @property
    def is_enough(self) -> bool:
        """Whether such an engine may stand in for PyTorch."""
        return self.root_mm <= MOST_ROOT_MM and self.keypoint_px <= MOST_KEYPOINT_PX


def sample_crops(size: int) -> tuple[NDArray[np.uint8], Floats]:
    """RGB crops (8, size, size, 3) of hands in the bundled clip, and their intrinsics (8, 3, 3).

    Raises:
        AssetError: they are missing or damaged.
    """
    try:
        arrays = read_npz(CROPS)
    except (OSError, ValueError) as error:
        raise AssetError(f"Could not read {CROPS}: {error}.", hint="Install the program again.") from error
    strip = cv2.imdecode(arrays["jpeg"], cv2.IMREAD_COLOR)
    if strip is None:
        raise AssetError(f"Could not read {CROPS}: a damaged picture.", hint="Install the program again.")
    strip = strip[:, :, ::-1]
    side = strip.shape[0]
    crops = np.split(strip, strip.shape[1] // side, axis=1)
    resized = np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops])
    scale = np.diag([size / side, size / side, 1.0])
    return resized.astype(np.uint8), (scale @ arrays["matrices"]).astype(np.float32)


def compare(network: HandDGP, engine: Engine) -> Agreement:
    """How far an engine with a network is from PyTorch with it, on `sample_crops`."""
    from handdgp_core.engines.pytorch import PyTorchEngine

    reference = PyTorchEngine(network, "cpu", frozen=False)
    return agreement(engine, reference, network, sample_crops(network.config.image_size))


def agreement(
    engine: Engine, reference: Engine, network: Planned, crops: tuple[NDArray[np.uint8], Floats]
) -> Agreement:
    """How far an engine is from the reference on crops, one by one and in a batch of all."""
    images, matrices = crops
    expected = reference.run(images, matrices)
    batch = engine.run(images, matrices)
    single = [engine.run(images[n : n + 1], matrices[n : n + 1]) for n in range(len(images))]
    alone = EngineOutput(
        np.concatenate([output.keypoints_uv for output in single]),
        np.concatenate([output.vertices for output in single]),
        np.concatenate([output.weights for output in single]),
        None,
    )
    parts = [_difference(found, expected, network, matrices) for found in (batch, alone)]
    return Agreement(*(float(max(values)) for values in zip(*parts, strict=True)))


def _difference(found: EngineOutput, expected: EngineOutput, network: Planned, matrices: Floats) -> tuple[float, float]:
    pixels = network.config.image_size * np.abs(found.keypoints_uv - expected.keypoints_uv).max()
    roots, codes = zip(*(_placed(output, network, matrices) for output in (found, expected)), strict=True)
    if not np.array_equal(*codes) or not np.isfinite(pixels):
        return np.inf, np.inf
    placed = codes[0] == 0
    return 1e3 * float(np.abs(roots[0] - roots[1])[placed].max(initial=0.0)), float(pixels)


def _placed(output: EngineOutput, network: Planned, matrices: Floats) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Roots (B, 3) in metres, and why there is none (0: there is)."""
    config, template = network.config, network.template
    points_m = template.keypoint_regressor @ output.vertices.astype(np.float64) * template.hand_scale_m
    pixels = output.keypoints_uv.astype(np.float64) * config.image_size + config.pixel_offset
    focal = matrices[:, None, [0, 1], [0, 1]]
    plane = (pixels - matrices[:, None, :2, 2]) / focal
    solution = position(points_m, plane, output.weights, config.positioning)
    return solution.root_m, solution.reason_code
