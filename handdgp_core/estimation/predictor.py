"""What a hand network must offer the estimator, whatever is inside: rectified crops in, root-relative hands out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification

PositioningMethod = Literal["published", "refined"]


class Prediction(NamedTuple):
    """Root-relative hands of B crops, every one a *right* hand in its virtual camera's frame.

    Attributes:
        keypoints_px: (B, 21, 2) crop pixels.
        keypoints_m: (B, 21, 3) root-relative.
        vertices_m: (B, V, 3) root-relative.
        weights: (B, 21) for DGP, 0 to 1.
        score: (B,) 0 to 1, how sure the network is that the crop shows a hand; NaN where it does not say.
        right: (B,) 0 to 1, how sure it is that the crop shows a right hand (after mirroring); NaN likewise.
        misfit: (B,) sum of squared residuals of a hand fitted to what the network saw; NaN where none was.
    """

    keypoints_px: Array
    keypoints_m: Array
    vertices_m: Array
    weights: Array
    score: Array
    right: Array
    misfit: Array


class View(NamedTuple):
    """A crop, and the virtual camera that looks at it."""

    crop: HandCrop
    rectification: Rectification


class Predictor(Protocol):
    """A network with everything around it that turns crops into `Prediction`s.

    Attributes:
        name: as given to `--model`.
        method: which DGP solve its predictions are meant for.
        faces: (F, 3) triangles of a right hand, outward normals.
        stage_ms: milliseconds of each part of the last `predict`.
        distance_error: of its distances, beside the solve's covariance; None where nobody has measured it.
        assumed_length_m: the chain (`hands.measure`) that it assumes where none is given; None where it predicts one.
        engine: what runs its network, for people: "ONNX Runtime, CPU".
        memory: of earlier frames, None where it has none; given back later, it goes on from there.
    """

    name: str
    method: PositioningMethod
    faces: NDArray[np.int32]
    stage_ms: dict[str, float]
    distance_error: DistanceError | None
    assumed_length_m: float | None
    engine: str
    memory: object

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        """The virtual camera that this network wants for a crop. UsageError where the lens cannot show it."""

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        """Hands in (B, size, size, 3) uint8 RGB crops, as each of the B views shows them.

        Args:
            images: the crops.
            views: what they show.
            stamp_ns: of the frame.
            length_m: of the user's chain (`hands.measure`) if it is known: a network that can takes it into account.
        """

    def reset(self) -> None:
        """Forget earlier frames."""

    def use_best_engine(self) -> None:
        """Change to a faster engine where one has become ready since. To be called between two frames."""

    def close(self) -> None:
        """Give back what runs the network. Safe to repeat."""
