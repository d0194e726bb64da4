"""`bench network` and `bench training`: how fast a configured network runs and learns on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from handdgp_core.estimation.models import choose_device
from handdgp_core.networks.guided_handdgp import make_network
from handdgp_core.networks.handdgp import HandDGP

_WARM_UP = 2
_LEAST_RUNS = 5


def bench_network(config_path: Path, overrides: Sequence[str], seconds: float, device_name: str) -> dict[str, Any]:
    """Forward passes of one crop, DGP included. Weights are random: they do not change the time.

    Raises:
        HandDGPError: a bad configuration, or a template that is not here.
    """
    network, device = _network(config_path, overrides, device_name)
    network.eval()
    size = network.config.image_size
    image = torch.rand(1, 3, size, size, device=device)
    matrix = torch.tensor([[[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]]], device=device)
    with torch.inference_mode():
        times_ms = _repeat(lambda: network(image, matrix), seconds, device)
    return {
        "parameters_million": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        "vertices": network.template.vertex_count,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "forwards": len(times_ms),
        "median_ms": float(np.median(times_ms)),
        "p95_ms": float(np.percentile(times_ms, 95)),
    }


def bench_training(config_path: Path, overrides: Sequence[str], seconds: float, device_name: str) -> dict[str, Any]:
    """Whole training steps on a batch that lies in memory: augmentation, all views and losses, the optimiser.

    "memory_gb" is the most that the process took, on a GPU the most that its tensors took there.

    Raises:
        HandDGPError: a bad configuration, or a template that is not here.
    """
    from lightning.fabric.utilities import move_data_to_device

    from handdgp_core.augmentation import render_views
    from handdgp_core.training.config import load_config
    from handdgp_core.training.losses import HandLosses

    config = load_config(config_path, overrides)
    network, device = _network(config_path, overrides, device_name)
    template, auxiliary = network.template, config.network.kind == "cmr"
    losses = HandLosses(
        template.faces, config.losses, template.hand_scale_m, template=template if auxiliary else None
    ).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5)
    batch = move_data_to_device(_batch(config, network), device)
    count = 2 if config.data.two_views else 1
    views = ("view1", "view2")[:count]
    kind = {"bf16": torch.bfloat16, "16": torch.float16}.get(config.hardware.precision)

    def step() -> None:
        with torch.no_grad():
            rendered = render_views(batch, config.network.image_size)
        image, matrix = (torch.cat([rendered[view][part] for view in views]) for part in ("image", "intrinsics"))
        with torch.autocast(device.type, kind, enabled=kind is not None):
            relative, more = network.with_auxiliary(image, matrix)
            output = network.position(relative, matrix)
        parts = [part.chunk(count) for part in output]
        outputs = [type(output)(*(part[number] for part in parts)) for number in range(count)]
        optimiser.zero_grad(set_to_none=True)
        losses(outputs, rendered, "all", more)["total"].backward()
        optimiser.step()

    times_ms = _repeat(step, seconds, device)
    step_ms = float(np.median(times_ms))
    return {
        "backbone": config.network.backbone,
        "batch_size": config.data.batch_size,
        "views": count,
        "precision": config.hardware.precision,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "steps": len(times_ms),
        "memory_gb": _most_memory_gb(device),
        "step_ms": step_ms,
        "samples_per_s": config.data.batch_size / step_ms * 1e3,
        "images_per_s": count * config.data.batch_size / step_ms * 1e3,
    }


def _network(config_path: Path, overrides: Sequence[str], device_name: str) -> tuple[HandDGP, torch.device]:
    from handdgp_core.datasets.registry import open_template
    from handdgp_core.training.config import load_config

    config = load_config(config_path, overrides)
    template = open_template(config.network.template, config.data.model_folder)
    device = choose_device(device_name)
    return make_network(config.network.model_copy(update={"pretrained": ""}), template).to(device), device


def _batch(config: Any, network: HandDGP) -> dict[str, Any]:
    """The template's own mesh half a metre away, before noise."""
    from handdgp_core.augmentation import ViewPairs
    from handdgp_core.datasets.sample import LabelledHand

    template, rng = network.template, np.random.default_rng(0)
    vertices = template.vertices + [0.0, 0.0, 0.5]
    image = rng.integers(0, 256, (360, 480, 3), dtype=np.uint8)
    matrix = np.array([[450.0, 0, 239.5], [0, 450, 179.5], [0, 0, 1]])
    hand = LabelledHand(image, matrix, template.keypoint_regressor @ vertices, vertices)
    pairs = ViewPairs(
        [hand] * config.data.batch_size,
        template.vertex_count,
        config.augmentation.views(config.network),
        config.augmentation.appearance,
        2 if config.data.two_views else 1,
        hand_scale_m=template.hand_scale_m,
        keypoint_count=template.keypoint_count,
        silhouette_faces=template.faces if config.network.kind == "cmr" else None,
    )
    return default_collate([pairs[index] for index in range(len(pairs))])


def _most_memory_gb(device: torch.device) -> float | None:
    """None where the system does not tell (Windows)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _repeat(run: Any, seconds: float, device: torch.device) -> list[float]:
    """Milliseconds of each run, after a few that do not count."""
    times_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    for number in range(1_000_000):
        started_s = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= _WARM_UP:
            times_ms.append((time.perf_counter() - started_s) * 1e3)
        if time.perf_counter() > until_s and len(times_ms) >= _LEAST_RUNS:
            break
    return times_ms
