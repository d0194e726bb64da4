"""Which models `--model` and `--device` accept, and how each is made."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from handdgp_core.bundled import bundled
from handdgp_core.engines import choose_device, load_engine
from handdgp_core.engines.choice import check_engine
from handdgp_core.errors import UsageError, WeightsError
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.guided_predictor import GuidedPredictor
from handdgp_core.estimation.hand_length import ADULT_LENGTH_STD
from handdgp_core.estimation.landmarks import LandmarksPredictor
from handdgp_core.estimation.network_predictor import NetworkPredictor
from handdgp_core.estimation.predictor import PositioningMethod, Predictor
from handdgp_core.estimation.refined_landmarks import RefinedPredictor
from handdgp_core.files import expanded
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks import HandDGP, load_network
from handdgp_core.networks.backbones.registry import GUIDED
from handdgp_core.networks.checkpoints.refiner_file import is_refiner
from handdgp_core.networks.checkpoints.weights import read_config, read_metadata
from handdgp_core.networks.guided_handdgp import GuidedHandDGP

DEFAULT_MODEL = "open"
OPEN_WEIGHTS = bundled("assets/weights/open.safetensors")
# Fitted to the palm distances of four real sets (three people) with the length given; an adult's length varies by 5 %.
# Only one of these people came nearer than 0.2 m.
OPEN_DISTANCE_ERROR = DistanceError(depth_m=0.011, share=0.02, edge_on=0.075, size=ADULT_LENGTH_STD, near_m=0.04)
MODEL_NAMES = ("open", "landmarks")
# Files that are meant as checkpoints; one that this program cannot load gets a message about what it is.
CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")


def load_predictor(name_or_path: str, device: str, engine: str = "auto") -> Predictor:
    """The model of that name, or the network in that checkpoint, on one of `engines.ENGINE_NAMES`.

    Raises:
        UsageError: unknown model, device or engine, or an engine that cannot run this model.
        AssetError: a file of the program is missing or damaged.
        WeightsError: a checkpoint that is missing, damaged, foreign, or not for hands.
    """
    where = choose_device(device)
    check_engine(engine)
    if name_or_path == "open":
        return _of_network(load_network(OPEN_WEIGHTS), device, engine, "open", OPEN_DISTANCE_ERROR)
    path = expanded(name_or_path)
    if name_or_path == "landmarks" or is_refiner(path):
        if engine == "onnxruntime":
            raise UsageError(f"ONNX Runtime does not run {name_or_path}.", hint="Use --engine auto or pytorch.")
        if name_or_path == "landmarks":
            return LandmarksPredictor.load(where)
        return RefinedPredictor.load_refined(path, where)
    if path.suffix in CHECKPOINT_SUFFIXES or path.exists():
        return _of_network(load_network(path), device, engine, name_or_path)
    raise UsageError(
        f"There is no model {name_or_path!r}.",
        hint=f"Choose one of {', '.join(MODEL_NAMES)}, or give the path of a checkpoint.",
    )


def open_network(name_or_path: str) -> HandDGP:
    """The network of `open`, or in a checkpoint, by itself.

    Raises:
        UsageError: a model that is no network alone.
        WeightsError: a checkpoint that is missing, damaged or foreign.
    """
    path = expanded(name_or_path)
    if name_or_path == "landmarks" or is_refiner(path):
        raise UsageError(f"{name_or_path} is no network by itself.", hint="Give open, or a .safetensors file.")
    return load_network(OPEN_WEIGHTS if name_or_path == "open" else path)


def _of_network(
    network: HandDGP, device: str, engine_name: str, name: str, distance_error: DistanceError | None = None
) -> NetworkPredictor:
    engine = load_engine(network, engine_name, device)
    where = torch.device(engine.device)
    if network.config.backbone != GUIDED:
        return NetworkPredictor(network, where, name, distance_error, engine)
    return GuidedPredictor(cast(GuidedHandDGP, network), where, OpenHand.load(), name, distance_error, engine)


def is_network_file(name_or_path: str) -> bool:
    """Whether `--model` names a network's own file, whose config can be read without the weights."""
    path = expanded(name_or_path)
    return path.suffix == ".safetensors" and not is_refiner(path)


def own_solve(name_or_path: str) -> PositioningMethod:
    """The DGP solve that a model is meant for, without loading it.

    Raises:
        WeightsError: a checkpoint that is missing, damaged or foreign.
    """
    if not is_network_file(name_or_path):
        return "refined"
    return read_config(expanded(name_or_path)).positioning


def limit_threads(name_or_path: str) -> None:
    """Give PyTorch one thread in this process where the model stands on MediaPipe's small landmark network.

    For programs, before they load a model: several threads wait for each other by spinning, which costs ten times the
    time as soon as the window and the 3D view want the same cores. Loading a model itself changes nothing.
    """
    path = expanded(name_or_path)
    if name_or_path in MODEL_NAMES or is_refiner(path) or _is_guided(path):
        torch.set_num_threads(1)


def _is_guided(path: Path) -> bool:
    try:
        return f'"{GUIDED}"' in read_metadata(path).get("config", "")
    except WeightsError:  # no network of this program; `load_predictor` tells what is wrong
        return False
