"""`train`: a network by a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.commands.console import console
from app.commands.extras import training_parts


def train(config_path: Path, overrides: Sequence[str] = (), resume: bool = False) -> bool:
    """Run `train`; False if it was interrupted (it can be resumed).

    Args:
        config_path: a YAML file such as configs/open-mobile.yaml.
        overrides: "dotted.key=value" settings that replace the file's.
        resume: go on from the run's last checkpoint.

    Raises:
        HandDGPError: a bad configuration, missing data or parts, or a training that diverged.
    """
    with training_parts():
        from handdgp_core.training.config import load_config
        from handdgp_core.training.trainer import train as run
    config = load_config(config_path, overrides)
    try:
        result = run(config, resume)
    except KeyboardInterrupt:
        console.print(f"Stopped. --resume goes on from the last checkpoint in {config.run_folder}.")
        return False
    figures = ", ".join(f"{name.removeprefix('validation/')} {value:.2f}" for name, value in result.errors.items())
    console.print(
        f"{result.steps} steps, {figures or 'no validation'}. Network: {result.folder / 'last.safetensors'}",
        markup=False,
    )
    return result.finished
