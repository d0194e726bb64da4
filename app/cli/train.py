"""`train`: a network by a configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from app.cli.console import console, progress_bar
from app.cli.options import CANCELLED, DONE, Settings


def train(config_path: Path, overrides: Sequence[str] = (), resume: bool = False) -> bool:
    """Run `train`; False if it was interrupted (it can be resumed).

    Args:
        config_path: a YAML file such as configs/open-mobile.yaml.
        overrides: "dotted.key=value" settings that replace the file's.
        resume: go on from the run's last checkpoint.

    Raises:
        HandDGPError: a bad configuration, missing data or parts, or a training that diverged.
    """
    from handdgp_core.training.config import load_config
    from handdgp_core.training.teacher.config import is_refiner_config
    from handdgp_core.training.trainer import train as run

    if is_refiner_config(config_path):
        return _train_refiner(config_path, overrides)
    config = load_config(config_path, overrides)
    loading = _Loading()
    try:
        result = run(config, resume, loading=loading)
    except KeyboardInterrupt:
        console.print(f"Stopped. --resume goes on from the last checkpoint in {config.run_folder}.")
        return False
    finally:
        loading.close()
    figures = ", ".join(f"{name.removeprefix('validation/')} {value:.2f}" for name, value in result.errors.items())
    console.print(
        f"{result.steps} steps, {figures or 'no validation'}. Network: {result.folder / 'last.safetensors'}",
        markup=False,
    )
    return result.finished


class _Loading:
    """A bar for each thing that is done before the training itself, gone when it is full: Lightning draws its own."""

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._bar: Progress | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show (what, done, in all)."""
        if self._bar is None:
            self._bar = self._shown.enter_context(progress_bar(name, total))
        self._bar.update(self._bar.task_ids[0], description=name, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away. Safe to repeat."""
        self._shown.close()
        self._bar = None


def _train_refiner(config_path: Path, overrides: Sequence[str]) -> bool:
    """The `open` model's network. What is in its cache when it is stopped is used by the next run."""
    from handdgp_core.training.teacher.config import load_refiner_config
    from handdgp_core.training.teacher.module import train_refiner

    config = load_refiner_config(config_path, overrides)
    try:
        with progress_bar("views", None) as bar:
            task = bar.task_ids[0]
            path, figures = train_refiner(
                config,
                lambda name, done, total: bar.update(task, description=f"{name} views", completed=done, total=total),
                lambda step, figures: console.print(f"step {step}: {_shown(figures)}", markup=False),
            )
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on with the views that are in the cache.")
        return False
    console.print(f"{_shown(figures)}. Network: {path}", markup=False)
    return True


def _shown(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def command(
    config: Annotated[Path, typer.Option("--config", help="YAML file, such as configs/freihand-r50.yaml.")],
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> int:
    """Train a network: with relative losses to convergence, then with all. Needs the extra `train`."""
    return DONE if train(config, settings or (), resume) else CANCELLED
