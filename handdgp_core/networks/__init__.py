"""Networks. `load_network` opens a checkpoint; `HandDGP` makes a network from a config and a template.

What needs PyTorch is imported when it is first asked for: whoever runs a network by another engine need not wait.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handdgp_core.networks.config import NetworkConfig, RectificationConfig

if TYPE_CHECKING:
    from handdgp_core.networks.checkpoints.weights import load_network, save_network
    from handdgp_core.networks.handdgp import HandDGP
    from handdgp_core.networks.output import NetworkOutput, RelativeOutput

__all__ = [
    "HandDGP",
    "NetworkConfig",
    "NetworkOutput",
    "RectificationConfig",
    "RelativeOutput",
    "load_network",
    "save_network",
]

_MODULES = {
    "HandDGP": "handdgp",
    "NetworkOutput": "output",
    "RelativeOutput": "output",
    "load_network": "checkpoints.weights",
    "save_network": "checkpoints.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
