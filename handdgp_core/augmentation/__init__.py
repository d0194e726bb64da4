"""Augmentation: two views of every sample, drawn on the CPU (`views`), rendered in one warp each on the GPU (`render`).

What is random is drawn per sample from (seed, epoch, sample number) and travels as numbers with the batch, so a run
gives the same pictures however many loader processes it has, and after a restart in the middle.
"""

from handdgp_core.augmentation.render import render_views
from handdgp_core.augmentation.settings import AppearanceSettings, ViewSettings
from handdgp_core.augmentation.views import ViewPairs

__all__ = ["AppearanceSettings", "ViewPairs", "ViewSettings", "render_views"]
