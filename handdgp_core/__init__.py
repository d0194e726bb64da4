"""Hands in metres from ordinary pictures: the public API. Each name is imported when it is first used (PEP 562).

Examples:
    >>> from handdgp_core import Camera, HandEstimator
    >>> with HandEstimator.from_weights() as estimator:
    ...     hands = estimator.estimate(image, Camera.load("camera.yaml"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handdgp_core.errors import (
        AssetError,
        CalibrationError,
        CameraError,
        HandDGPError,
        OutputError,
        ShapeError,
        SourceError,
        UsageError,
        WeightsError,
    )
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.geometry.camera import Camera
    from handdgp_core.geometry.positioning import position
    from handdgp_core.networks.checkpoints.weights import load_network
    from handdgp_core.sources.open import open_source
    from handdgp_core.types import Frame, Hand

__all__ = [
    "AssetError",
    "CalibrationError",
    "Camera",
    "CameraError",
    "Frame",
    "Hand",
    "HandDGPError",
    "HandEstimator",
    "OutputError",
    "ShapeError",
    "SourceError",
    "UsageError",
    "WeightsError",
    "load_network",
    "open_source",
    "position",
]

_HOMES = {
    "Camera": "geometry.camera",
    "Frame": "types",
    "Hand": "types",
    "HandEstimator": "estimation.estimator",
    "load_network": "networks.checkpoints.weights",
    "open_source": "sources.open",
    "position": "geometry.positioning",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    value = getattr(home, name)
    globals()[name] = value  # found without this function the next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
