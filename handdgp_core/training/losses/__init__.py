"""The paper's losses (supplement, 1.2): one function for each equation, and their weighted sum with masks."""

from handdgp_core.training.losses.total import CAMERA_SPACE, HandLosses, LossWeights, Stage

__all__ = ["CAMERA_SPACE", "HandLosses", "LossWeights", "Stage"]
