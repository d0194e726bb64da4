"""How strongly views are varied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from handdgp_core.detection.crops import HALF_SIZE_FACTOR
from handdgp_core.errors import UsageError

__all__ = ["AppearanceSettings", "Policy", "ViewSettings"]

Policy = Literal["fit", "published", "none"]


@dataclass(frozen=True)
class ViewSettings:
    """Where the views look. Everything random is uniform.

    Attributes:
        policy: "fit", a virtual camera that looks at the hand, upright; "published", the canonical focal length
            without a turn, black outside of the hand's square; or "none", that square with its own intrinsics. See
            `geometry.rectification`.
        size: side of a view, pixels.
        focal_px: canonical focal length of the published policy (1000 FreiHAND, 500 HO3D-v2, 400 Human3.6M).
        crop_factor: half the side of the hand's square over half its keypoints' longer extent.
        patch_size: side of the part of the source picture that goes to the GPU, pixels; larger parts are averaged
            down to it. The size of the pictures themselves where they are small and cut around the hand already.
        rotation_deg: in the image, up to this much either way; from upright ("fit") or from the picture ("published").
            Shared by both views.
        square_px: side of a square about the picture's centre that is shown in place of the hand's, pixels of the
            picture; None for the hand's.
        aim: how far the hand's square is off, as part of its half side. Shared by both views.
        scale: smallest and largest factor on a view's focal length, per view. A published view then no longer has
            the canonical focal length: DGP and the losses know each view's own, the network does not.
        shift: how far a view's principal point moves, as part of `size`, per view.
    """

    policy: Policy = "fit"
    size: int = 224
    focal_px: float = 1000.0
    crop_factor: float = HALF_SIZE_FACTOR
    patch_size: int = 320
    rotation_deg: float = 45.0
    aim: float = 0.08
    scale: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.08
    square_px: float | None = None

    def __post_init__(self) -> None:
        if self.policy not in ("fit", "published", "none"):
            raise UsageError(f"There is no policy {self.policy!r} for views.", hint="Choose fit, published or none.")
        if min(self.size, self.patch_size, self.focal_px, self.crop_factor, self.square_px or 1) <= 0:
            raise UsageError(f"Size, patch size, focal length, crop factor and square must be positive in {self}.")
        if min(self.rotation_deg, self.aim, self.shift) < 0:
            raise UsageError(f"Rotation, aim and shift must not be negative in {self}.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise UsageError(f"Scales from {self.scale[0]} to {self.scale[1]} are no positive range, smaller first.")

    def steady(self) -> ViewSettings:
        """The same view as at run time: nothing varied."""
        return replace(self, rotation_deg=0.0, aim=0.0, scale=(1.0, 1.0), shift=0.0)


@dataclass(frozen=True)
class AppearanceSettings:
    """How the views' pixels vary, each view by itself. Everything random is uniform.

    Attributes:
        brightness: factor on the pixels from 1 - this to 1 + this.
        contrast: factor on the distance from the mean, likewise.
        saturation: factor, likewise.
        hue_rad: turn of the hue, up to this much either way.
        blur_px: largest standard deviation of the blur; from 0.
        blur_probability: of a view being blurred at all.
        noise: largest standard deviation of the noise, 1 being white; from 0.
        occluder_probability: of each of `occluders` shapes in a view.
        occluders: most shapes in a view.
        occluder_size: smallest and largest half length of a shape, as part of the view's side.
    """

    brightness: float = 0.4
    contrast: float = 0.3
    saturation: float = 0.4
    hue_rad: float = 0.2
    blur_px: float = 2.0
    blur_probability: float = 0.4
    noise: float = 0.03
    occluder_probability: float = 0.25
    occluders: int = 2
    occluder_size: tuple[float, float] = (0.04, 0.25)

    def __post_init__(self) -> None:
        if min(self.brightness, self.contrast, self.saturation, self.hue_rad, self.blur_px, self.noise) < 0:
            raise UsageError(f"Ranges must not be negative in {self}.")
        if max(self.brightness, self.contrast, self.saturation) > 1:
            raise UsageError(f"Brightness, contrast and saturation must be at most 1 in {self}.")
        if not (0 <= self.blur_probability <= 1 and 0 <= self.occluder_probability <= 1 and self.occluders >= 0):
            raise UsageError(f"Probabilities must be from 0 to 1, and occluders not negative, in {self}.")
        if not 0 < self.occluder_size[0] <= self.occluder_size[1]:
            low, high = self.occluder_size
            raise UsageError(f"Occluder sizes from {low} to {high} are no positive range, smaller first.")

    @classmethod
    def none(cls) -> AppearanceSettings:
        """Pixels as they are."""
        return cls(brightness=0, contrast=0, saturation=0, hue_rad=0, blur_px=0, noise=0, occluders=0)
