"""Which engine and device a network runs on."""

from __future__ import annotations

import logging

import torch

from handdgp_core.engines.agreement import MOST_KEYPOINT_PX, MOST_ROOT_MM, Agreement, compare
from handdgp_core.engines.export import onnx_bytes
from handdgp_core.engines.onnx_runtime import OnnxRuntimeEngine
from handdgp_core.engines.protocol import Engine
from handdgp_core.engines.pytorch import PyTorchEngine
from handdgp_core.engines.store import Kept, key_of, recall, remember
from handdgp_core.errors import UsageError
from handdgp_core.networks.handdgp import HandDGP

__all__ = ["DEVICE_NAMES", "ENGINE_NAMES", "check_engine", "choose_device", "load_engine"]

DEVICE_NAMES = ("auto", "cpu", "cuda")
ENGINE_NAMES = ("auto", "pytorch", "onnxruntime")
_log = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda".

    Raises:
        UsageError: unknown name, or no CUDA device here.
    """
    if name not in DEVICE_NAMES:
        raise UsageError(f"There is no device {name!r}.", hint=f"Choose one of {', '.join(DEVICE_NAMES)}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "There is no CUDA device that this PyTorch can use.",
            hint="Use --device auto or cpu, or install the GPU's driver and a CUDA build of PyTorch.",
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def check_engine(name: str) -> None:
    """
    Raises:
        UsageError: there is no such engine.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"There is no engine {name!r}.", hint=f"Choose one of {', '.join(ENGINE_NAMES)}.")


def load_engine(network: HandDGP, name: str = "auto", device: str = "auto") -> Engine:
    """An engine with this network, warmed up.

    "auto" is PyTorch on a CUDA device. On a processor it is ONNX Runtime, but only where its hands are PyTorch's within
    0.1 mm of root and 0.1 px (`agreement`), which is looked at when a network is first used on a machine; else PyTorch.

    Args:
        network: in evaluation mode; its later changes do not reach the engine.
        name: one of `ENGINE_NAMES`.
        device: one of `DEVICE_NAMES`.

    Raises:
        UsageError: an unknown engine or device, ONNX Runtime on a CUDA device, or a network that it cannot run.
    """
    check_engine(name)
    if name == "onnxruntime" and device == "auto":
        device = "cpu"
    where = choose_device(device)
    if name == "onnxruntime" and where.type != "cpu":
        raise UsageError(
            "ONNX Runtime runs on the processor alone here, not on cuda.",
            hint="Use --device cpu, or --engine pytorch.",
        )
    found: Engine | None = None
    if name != "pytorch" and where.type == "cpu":
        found = _onnx_runtime(network, asked_for=name == "onnxruntime")
    engine = found or PyTorchEngine(network, where)
    engine.warm_up()
    return engine


def _onnx_runtime(network: HandDGP, asked_for: bool) -> Engine | None:
    """The network in ONNX Runtime; None where it must not stand in for PyTorch and nobody asked for it.

    Raises:
        UsageError: it was asked for and cannot run this network.
    """
    try:
        kept = _kept(network.cpu().eval())
        engine = OnnxRuntimeEngine(kept.content, torch.get_num_threads())
    except RuntimeError as error:  # of the export, too
        if asked_for:
            raise UsageError(f"ONNX Runtime cannot run this network: {error}", hint="Use --engine pytorch.") from error
        _log.warning("ONNX Runtime cannot run this network, so PyTorch does: %s", error)
        return None
    if kept.agreement.is_enough:
        return engine
    _log.warning("%s %s", _told(kept.agreement), "It is used as asked for." if asked_for else "PyTorch is used.")
    return engine if asked_for else None


def _told(found: Agreement) -> str:
    return (
        f"ONNX Runtime differs from PyTorch by {found.root_mm:.3g} mm and {found.keypoint_px:.3g} px on this machine "
        f"(allowed: {MOST_ROOT_MM} and {MOST_KEYPOINT_PX})."
    )


def _kept(network: HandDGP) -> Kept:
    key = key_of(network)
    known = recall(key)
    if known is not None:
        return known
    content = onnx_bytes(network)
    kept = Kept(content, compare(network, content))
    remember(key, kept)
    return kept
