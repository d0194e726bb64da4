"""Networks. `load_network` opens a checkpoint; `HandDGP` makes a network from a config and a template."""

from handdgp_core.networks.checkpoints.weights import load_network, save_network
from handdgp_core.networks.config import NetworkConfig, RectificationConfig
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
