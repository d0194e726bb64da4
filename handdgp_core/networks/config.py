"""One typed description of a network; together with a template it says everything but the weights."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from handdgp_core.errors import UsageError, WeightsError
from handdgp_core.geometry.positioning import Method
from handdgp_core.hands.topology.spirals import LENGTH

__all__ = ["NetworkConfig", "RectificationConfig", "RectificationPolicy"]

RectificationPolicy = Literal["fit", "published"]


@dataclass(frozen=True)
class RectificationConfig:
    """The virtual camera that a network wants its crops from (`geometry.rectification`).

    Attributes:
        policy: "fit" (a virtual camera that looks at the hand) or "published" (the paper's canonical focal length).
        fill: of "fit": part of the crop's side that the hand's square takes.
        focal_px: of "published": 1000 for FreiHAND, 500 for HO3D-v2, 400 for Human3.6M.
    """

    policy: RectificationPolicy = "fit"
    fill: float = 1.0
    focal_px: float = 1000.0

    def __post_init__(self) -> None:
        _check_choice("rectification policy", self.policy, get_args(RectificationPolicy))
        _check_positive("fill", self.fill)
        _check_positive("focal_px", self.focal_px)


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of. The defaults are the published network's, but for how it is used.

    Attributes:
        backbone: out of `backbones.BACKBONES`.
        template: "open", "mano", "body", or the name of the template that comes with a checkpoint.
        image_size: side of the crop, pixels.
        keypoint_widths: hidden layers of the 2D head's MLP.
        mesh_widths: channels of the 3D head, from the coarsest level to the finest, one for each step up.
        weight_latent: channels of the weight head's first convolution.
        weight_widths: hidden layers of the weight head's MLP.
        spiral_length: vertices in a spiral.
        positioning: which DGP solve.
        pixel_offset: a crop fraction f is the pixel f * image_size + pixel_offset. -0.5 where fractions count from the
            crop's edge and pixels from the first pixel's centre (docs/conventions.md); the published weights have 0.
        rectification: the virtual camera that the network was trained for.
        guide_width, guide_dropout, token_width: of a guided network (`guided_handdgp`): hidden layers of its guide, and
            the channels that the guide gives each keypoint for the mesh head.
        pretrained: weights that the backbone starts from, see `backbones.make_backbone`. Not used for a checkpoint.

    Raises:
        UsageError: a value that makes no sense.
    """

    backbone: str = "resnet50"
    template: str = "open"
    image_size: int = 224
    keypoint_widths: tuple[int, ...] = (224, 112)
    mesh_widths: tuple[int, ...] = (256, 128, 64, 32)
    weight_latent: int = 1024
    weight_widths: tuple[int, ...] = (512, 256)
    spiral_length: int = LENGTH
    positioning: Method = "refined"
    pixel_offset: float = -0.5
    rectification: RectificationConfig = field(default_factory=RectificationConfig)
    guide_width: int = 384
    guide_dropout: float = 0.1
    token_width: int = 64
    pretrained: str = ""

    def __post_init__(self) -> None:
        for name in ("keypoint_widths", "mesh_widths", "weight_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists, from YAML or JSON
            _check_widths(name, getattr(self, name))
        for name in ("image_size", "weight_latent", "spiral_length", "guide_width", "token_width"):
            _check_widths(name, (getattr(self, name),))
        if not 0 <= self.guide_dropout < 1:
            raise UsageError("a guide_dropout from 0 to below 1", f"{self.guide_dropout}")
        _check_choice("positioning", self.positioning, get_args(Method))
        if not math.isfinite(self.pixel_offset):
            raise UsageError("a finite pixel_offset", f"{self.pixel_offset}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON or YAML."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> NetworkConfig:
        """The way back.

        Raises:
            WeightsError: unknown entries, or entries of another type.
            UsageError: a value that makes no sense.
        """
        if isinstance(values, dict) and "rectification" in values:
            values = {**values, "rectification": _typed(RectificationConfig, values["rectification"])}
        return _typed(cls, values)


def _typed(kind: Any, values: Any) -> Any:
    known = [entry.name for entry in fields(kind)]
    if not isinstance(values, dict) or not set(values) <= set(known):
        found = ", ".join(sorted(set(values) - set(known))) if isinstance(values, dict) else repr(values)
        raise WeightsError(f"a network described by {', '.join(known)}", found, "use the version that wrote it")
    try:
        return kind(**values)
    except TypeError as error:
        raise WeightsError("a network's description", f"a value of another type ({error})") from error


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"a {what} out of {', '.join(choices)}", repr(value))


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"a positive {what}", f"{value}")


def _check_widths(what: str, widths: tuple[int, ...]) -> None:
    if not widths or any(not isinstance(width, int) or width < 1 for width in widths):
        raise UsageError(f"{what} of at least 1", f"{widths}")
