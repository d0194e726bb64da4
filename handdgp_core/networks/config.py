"""One typed description of a network; together with a template it is everything but the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from handdgp_core.config import Config
from handdgp_core.geometry.positioning import Method
from handdgp_core.hands.topology.spirals import LENGTH

__all__ = ["GUIDED", "RESNET_WIDTH", "NetworkConfig", "RectificationConfig", "RectificationPolicy"]

RectificationPolicy = Literal["fit", "published", "none"]
RESNET_WIDTH = 64  # of its first stage, in channels
GUIDED = "mediapipe-guided"  # the backbone of a guided network (`guided_handdgp`)
# Far above any network that works, and low enough that a wrong digit does not fill the memory.
Width = Annotated[int, Field(gt=0, le=2048)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)]


class RectificationConfig(Config):
    """The virtual camera that a network wants its crops from (`geometry.rectification`).

    Attributes:
        policy: "fit" (a virtual camera that looks at the hand), "published" (the paper's canonical focal length), or
            "none" (the crop around the hand with its own intrinsics; table 1's row without rectification).
        fill: of "fit": part of the crop's side that the hand's square takes.
        focal_px: of "published": 1000 for FreiHAND, 500 for HO3D-v2, 400 for Human3.6M.
    """

    policy: RectificationPolicy = "fit"
    fill: PositiveFloat = 1.0
    focal_px: PositiveFloat = 1000.0


class NetworkConfig(Config):
    """What a network is made of. The defaults are the published network's, but for how it is used.

    Attributes:
        kind: "handdgp" (MobRecon's heads) or "cmr" (supplement, section 5; its mesh_widths are 512, 256, 128, 64).
        backbone: out of `backbones.BACKBONES`.
        resnet_width: channels of a ResNet's first stage, all others in proportion. Narrow ones are for experiments on a
            processor; there are no ImageNet weights for them.
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
    """

    kind: Literal["handdgp", "cmr"] = "handdgp"
    backbone: str = "resnet50"
    resnet_width: Width = RESNET_WIDTH
    template: str = "open"
    image_size: Annotated[int, Field(gt=0, le=1024)] = 224
    keypoint_widths: Widths = (224, 112)
    mesh_widths: Widths = (256, 128, 64, 32)
    weight_latent: Width = 1024
    weight_widths: Widths = (512, 256)
    spiral_length: Annotated[int, Field(gt=0, le=128)] = LENGTH
    positioning: Method = "refined"
    pixel_offset: float = -0.5
    rectification: RectificationConfig = RectificationConfig()
    guide_width: Width = 384
    guide_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    token_width: Width = 64
    pretrained: str = ""
