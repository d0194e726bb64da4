"""The paper's losses (supplement, 1.2): one function for each equation, and their weighted sum with masks."""

from handdgp_core.training.losses.total import HandLosses, LossWeights, Stage

__all__ = ["HandLosses", "LossWeights", "Stage"]
