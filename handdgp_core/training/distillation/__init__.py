"""Training on a teacher's outputs for renders, in place of what was drawn.

Heads that learn the truth of renders learn how landmarks err on renders, and photographs pay for it (see
docs/training-log.md). A teacher that corrects landmarks by what holds for both, the open hand fitted to them and turned
by a refiner, is a function of the landmarks alone. A network that learns this function does on photographs what its
teacher does.
"""

from handdgp_core.training.distillation.data import DistillationData, Loading
from handdgp_core.training.distillation.guide_pretraining import start_guide

__all__ = ["DistillationData", "Loading", "start_guide"]
