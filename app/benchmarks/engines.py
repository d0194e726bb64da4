"""`bench engines`: every engine with one network, by turns in one run, so that a busy machine is busy for all."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from handdgp_core.engines import load_engine
from handdgp_core.engines.agreement import agreement, sample_crops
from handdgp_core.estimation.models import checkpoint_of, limit_threads
from handdgp_core.networks.checkpoints.plan import read_plan

_ENGINES = ("pytorch", "onnxruntime")
_BATCHES = (1, 2)
_WARM_UP = 3
_LEAST_RUNS = 5


def bench_engines(model: str, seconds: float) -> dict[str, Any]:
    """Milliseconds of the network for one crop and for two on the processor, and how far engines are from PyTorch.

    Wall time is what a user waits; the processor's time hardly depends on what else the machine does.

    Raises:
        HandDGPError: a model that is no network, or that an engine cannot run.
    """
    limit_threads(model)
    checkpoint = checkpoint_of(model)
    plan = read_plan(checkpoint)
    engines = {name: load_engine(checkpoint, name, "cpu") for name in _ENGINES}
    images, matrices = sample_crops(plan.config.image_size)
    wall_ms: dict[tuple[str, int], list[float]] = {(name, batch): [] for batch in _BATCHES for name in _ENGINES}
    cpu_ms: dict[tuple[str, int], list[float]] = {key: [] for key in wall_ms}
    until_s, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < until_s or rounds < _WARM_UP + _LEAST_RUNS:
        for name, batch in wall_ms:
            started_s, started_cpu_s = time.perf_counter(), time.process_time()
            engines[name].run(images[:batch], matrices[:batch])
            if rounds >= _WARM_UP:
                wall_ms[name, batch].append((time.perf_counter() - started_s) * 1e3)
                cpu_ms[name, batch].append((time.process_time() - started_cpu_s) * 1e3)
        rounds += 1
    figures: dict[str, Any] = {"model": model, "threads": torch.get_num_threads(), "rounds": rounds - _WARM_UP}
    for name, batch in wall_ms:
        for kind, kept in (("wall", wall_ms), ("cpu", cpu_ms)):
            label, median = f"{name}, batch of {batch}, {kind}", float(np.median(kept[name, batch]))
            figures[f"{label}: median_ms"] = median
            figures[f"{label}: ratio"] = median / float(np.median(kept[_ENGINES[0], batch]))
    found = agreement(engines["onnxruntime"], engines["pytorch"], plan, (images, matrices))
    return {
        **figures,
        "onnxruntime: root_um": 1e3 * found.root_mm,
        "onnxruntime: keypoint_thousandth_px": 1e3 * found.keypoint_px,
    }
