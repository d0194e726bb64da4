"""What an engine must offer: crops and intrinsics in, what the heads predict out, NumPy on both sides."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Engine", "EngineOutput", "LandmarkArrays", "describe"]

Floats = NDArray[np.float32]


class LandmarkArrays(NamedTuple):
    """The landmarks that a guided network starts from; fields as of `mediapipe_landmarks.LandmarkOutput`."""

    keypoints_px: Floats
    keypoints_z: Floats
    world_m: Floats
    presence: Floats
    right: Floats


class EngineOutput(NamedTuple):
    """What a network's heads predict, before DGP; fields as of `networks.RelativeOutput`. B crops, float32.

    Attributes:
        keypoints_uv: (B, K, 2) crop fractions.
        vertices: (B, V, 3) root-relative, hand-scale units.
        weights: (B, K) from 0 to 1.
        landmarks: of a guided network; else None.
    """

    keypoints_uv: Floats
    vertices: Floats
    weights: Floats
    landmarks: LandmarkArrays | None


class Engine(Protocol):
    """A network, loaded and ready to run. One thread at a time.

    Attributes:
        name: one of `ENGINE_NAMES`, never "auto".
        device: "cpu" or "cuda".
        precision: of its arithmetic, such as "float32".
    """

    name: str
    device: str
    precision: str

    def warm_up(self) -> None:
        """Run once on nothing, so that the first picture does not wait for what is done once."""

    def run(self, images: NDArray[np.uint8], matrices: Floats) -> EngineOutput:
        """Predictions for RGB crops (B, S, S, 3) with their intrinsics (B, 3, 3), pixels; any B of 1 or more."""

    def settle(self) -> None:
        """Change to a faster engine where one has become ready since. To be called between two frames."""

    def close(self) -> None:
        """Give its memory back. Safe to repeat."""


_SHOWN = {"pytorch": "PyTorch", "onnxruntime": "ONNX Runtime"}


def describe(engine: Engine) -> str:
    """For people: "ONNX Runtime, CPU", and the precision where it is not float32."""
    parts = [_SHOWN.get(engine.name, engine.name), engine.device.upper()]
    return ", ".join(parts if engine.precision == "float32" else [*parts, engine.precision])


def float_crops(images: NDArray[np.uint8]) -> Floats:
    """(B, 3, S, S) in [0, 1] of RGB crops (B, S, S, 3)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)


def empty_crops(size: int) -> tuple[NDArray[np.uint8], Floats]:
    """One black crop with plausible intrinsics, to warm up on."""
    matrix = np.array([[[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]]], np.float32)
    return np.zeros((1, size, size, 3), np.uint8), matrix
