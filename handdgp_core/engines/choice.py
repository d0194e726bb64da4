"""Which engine and device a network runs on."""

from __future__ import annotations

import ctypes
import logging
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from handdgp_core.engines.agreement import MOST_KEYPOINT_PX, MOST_ROOT_MM, Agreement
from handdgp_core.engines.onnx_runtime import OnnxRuntimeEngine
from handdgp_core.engines.preparation import PreparingEngine, prepare
from handdgp_core.engines.protocol import Engine
from handdgp_core.engines.store import key_of, recall
from handdgp_core.engines.threads import thread_count
from handdgp_core.errors import UsageError

if TYPE_CHECKING:  # it takes a second to load, which ONNX Runtime need not wait for
    import torch

__all__ = ["DEVICE_NAMES", "ENGINE_NAMES", "check_engine", "choose_device", "load_engine"]

DEVICE_NAMES = ("auto", "cpu", "cuda")
ENGINE_NAMES = ("auto", "pytorch", "onnxruntime")
_log = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda".

    Raises:
        UsageError: unknown name, or no CUDA device here.
    """
    import torch

    return torch.device(device_name(name))


def device_name(name: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda". Errors as of `choose_device`."""
    if name not in DEVICE_NAMES:
        raise UsageError(f"There is no device {name!r}.", hint=f"Choose one of {', '.join(DEVICE_NAMES)}.")
    if name == "cpu":
        return "cpu"
    has_cuda = _may_have_cuda() and _has_cuda()
    if name == "cuda" and not has_cuda:
        raise UsageError(
            "There is no CUDA device that this PyTorch can use.",
            hint="Use --device auto or cpu, or install the GPU's driver and a CUDA build of PyTorch.",
        )
    return "cuda" if has_cuda else "cpu"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _may_have_cuda() -> bool:
    """False where PyTorch, which takes a second to load, would find no CUDA device for certain."""
    build = version("torch").partition("+")[2]
    if build == "cpu":
        return False
    if build.startswith("rocm"):
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def check_engine(name: str) -> None:
    """
    Raises:
        UsageError: there is no such engine.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"There is no engine {name!r}.", hint=f"Choose one of {', '.join(ENGINE_NAMES)}.")


def load_engine(checkpoint: Path | str, name: str = "auto", device: str = "auto", wait: bool = True) -> Engine:
    """An engine with the network of a checkpoint, warmed up.

    "auto" is PyTorch on a CUDA device. On a processor it is ONNX Runtime, but only where its hands are PyTorch's within
    0.1 mm of root and 0.1 px (`agreement`), which is looked at when a network is first used on a machine; else PyTorch.

    Args:
        checkpoint: of `networks.save_network`.
        name: one of `ENGINE_NAMES`.
        device: one of `DEVICE_NAMES`.
        wait: for ONNX Runtime on the network's first use, which takes seconds. Else "auto" gives PyTorch, which changes
            to ONNX Runtime at a call of `Engine.settle` after that has become ready.

    Raises:
        UsageError: an unknown engine or device, ONNX Runtime on a CUDA device, or a network that it cannot run.
        WeightsError: as of `load_network`.
    """
    file = Path(checkpoint)
    check_engine(name)
    where = "cpu" if name == "onnxruntime" and device == "auto" else device_name(device)
    if name == "onnxruntime" and where != "cpu":
        raise UsageError(
            "ONNX Runtime runs on the processor alone here, not on cuda.",
            hint="Use --device cpu, or --engine pytorch.",
        )
    engine: Engine | None = None
    if name != "pytorch" and where == "cpu":
        engine = _other(file, "onnxruntime", asked_for=name != "auto", wait=wait or name != "auto")
    engine = engine or _pytorch(file, where)
    engine.warm_up()
    return engine


def _pytorch(checkpoint: Path, where: str, frozen: bool = True) -> Engine:
    from handdgp_core.engines.pytorch import PyTorchEngine
    from handdgp_core.networks.checkpoints.weights import load_network

    return PyTorchEngine(load_network(checkpoint), where, frozen)


def _other(checkpoint: Path, name: str, asked_for: bool, wait: bool) -> Engine | None:
    """The network in another engine; None where it must not stand in for PyTorch and nobody asked for it.

    Raises:
        UsageError: it was asked for and cannot run this network.
    """
    try:
        kept = recall(key_of(checkpoint, name))
        if kept is None and not wait:
            return PreparingEngine(_pytorch(checkpoint, "cpu", frozen=False), checkpoint, name)
        kept = kept or prepare(checkpoint, name)
        engine = OnnxRuntimeEngine(kept.content, thread_count())
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
