"""Where MediaPipe's hand landmarker lies, for whoever reads it with PyTorch and without."""

from handdgp_core.bundled import bundled

__all__ = ["ASSET", "HINT"]

ASSET = bundled("assets/models/hand_landmarker.task")
HINT = "Put the original hand_landmarker.task back (assets/README.md says where it comes from)."
