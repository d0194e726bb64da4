"""What runs a network: PyTorch, or ONNX Runtime where it gives PyTorch's numbers. `load_engine` chooses."""

from handdgp_core.engines.choice import DEVICE_NAMES, ENGINE_NAMES, choose_device, load_engine
from handdgp_core.engines.protocol import Engine, EngineOutput, describe

__all__ = [
    "DEVICE_NAMES",
    "ENGINE_NAMES",
    "Engine",
    "EngineOutput",
    "choose_device",
    "describe",
    "load_engine",
]
