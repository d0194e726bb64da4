"""Which models `--model` and `--device` accept, and how each is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handdgp_core.bundled import bundled
from handdgp_core.engines import choose_device, load_engine, threads
from handdgp_core.engines.choice import check_engine
from handdgp_core.errors import UsageError, WeightsError
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.guided_predictor import GuidedPredictor
from handdgp_core.estimation.hand_length import ADULT_LENGTH_STD
from handdgp_core.estimation.network_predictor import NetworkPredictor
from handdgp_core.estimation.predictor import PositioningMethod, Predictor
from handdgp_core.files import expanded
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.checkpoints.plan import read_config, read_metadata, read_plan
from handdgp_core.networks.config import GUIDED

if TYPE_CHECKING:
    from handdgp_core.networks import HandDGP

DEFAULT_MODEL = "open"
OPEN_WEIGHTS = bundled("assets/weights/open.safetensors")
# Fitted to the palm distances of four real sets (three people) with the length given; an adult's length varies by 5 %.
# Only one of these people came nearer than 0.2 m.
OPEN_DISTANCE_ERROR = DistanceError(depth_m=0.011, share=0.02, edge_on=0.075, size=ADULT_LENGTH_STD, near_m=0.04)
MODEL_NAMES = ("open", "landmarks")
# Files that are meant as checkpoints; one that this program cannot load gets a message about what it is.
CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")


def load_predictor(name_or_path: str, device: str, engine: str = "auto", wait: bool = True) -> Predictor:
    """The model of that name, or the network in that checkpoint, on one of `engines.ENGINE_NAMES`.

    `wait`: see `engines.load_engine`.

    Raises:
        UsageError: unknown model, device or engine, or an engine that cannot run this model.
        AssetError: a file of the program is missing or damaged.
        WeightsError: a checkpoint that is missing, damaged, foreign, or not for hands.
    """
    check_engine(engine)
    if name_or_path == "open":
        return _of_network(OPEN_WEIGHTS, device, engine, wait, "open", OPEN_DISTANCE_ERROR)
    path = expanded(name_or_path)
    if name_or_path == "landmarks" or _is_refiner(path):
        if engine == "onnxruntime":
            raise UsageError(f"ONNX Runtime does not run {name_or_path}.", hint="Use --engine auto or pytorch.")
        return _of_landmarks(None if name_or_path == "landmarks" else path, device)
    if path.suffix in CHECKPOINT_SUFFIXES or path.exists():
        return _of_network(path, device, engine, wait, name_or_path)
    raise UsageError(
        f"There is no model {name_or_path!r}.",
        hint=f"Choose one of {', '.join(MODEL_NAMES)}, or give the path of a checkpoint.",
    )


def checkpoint_of(name_or_path: str) -> Path:
    """The file of the network of `open`, or the checkpoint that was given.

    Raises:
        UsageError: a model that is no network alone.
    """
    if name_or_path == "open":
        return OPEN_WEIGHTS
    path = expanded(name_or_path)
    if name_or_path == "landmarks" or _is_refiner(path):
        raise UsageError(f"{name_or_path} is no network by itself.", hint="Give open, or a .safetensors file.")
    return path


def open_network(name_or_path: str) -> HandDGP:
    """The network of `open`, or in a checkpoint, by itself.

    Raises:
        UsageError: a model that is no network alone.
        WeightsError: a checkpoint that is missing, damaged or foreign.
    """
    from handdgp_core.networks import load_network

    return load_network(checkpoint_of(name_or_path))


def _of_network(
    checkpoint: Path,
    device: str,
    engine_name: str,
    wait: bool,
    name: str,
    distance_error: DistanceError | None = None,
) -> NetworkPredictor:
    plan = read_plan(checkpoint)
    engine = load_engine(checkpoint, engine_name, device, wait)
    if plan.config.backbone != GUIDED:
        return NetworkPredictor(plan, engine, name, distance_error)
    return GuidedPredictor(plan, engine, OpenHand.load(), name, distance_error)


def _of_landmarks(refiner: Path | None, device: str) -> Predictor:
    from handdgp_core.estimation.landmarks import LandmarksPredictor
    from handdgp_core.estimation.refined_landmarks import RefinedPredictor

    where = choose_device(device)
    threads.apply_limit()
    return LandmarksPredictor.load(where) if refiner is None else RefinedPredictor.load_refined(refiner, where)


def _is_refiner(path: Path) -> bool:
    from handdgp_core.networks.checkpoints.refiner_file import is_refiner

    return is_refiner(path)


def is_network_file(name_or_path: str) -> bool:
    """Whether `--model` names a network's own file, whose config can be read without the weights."""
    path = expanded(name_or_path)
    return path.suffix == ".safetensors" and not _is_refiner(path)


def own_solve(name_or_path: str) -> PositioningMethod:
    """The DGP solve that a model is meant for, without loading it.

    Raises:
        WeightsError: a checkpoint that is missing, damaged or foreign.
    """
    if not is_network_file(name_or_path):
        return "refined"
    return read_config(expanded(name_or_path)).positioning


def limit_threads(name_or_path: str) -> None:
    """Give networks one thread in this process where the model stands on MediaPipe's small landmark network.

    For programs, before they load a model: several threads wait for each other by spinning, which costs ten times the
    time as soon as the window and the 3D view want the same cores. Loading a model itself changes nothing.
    """
    path = expanded(name_or_path)
    if name_or_path in MODEL_NAMES or _is_refiner(path) or _is_guided(path):
        threads.limit_threads(1)


def _is_guided(path: Path) -> bool:
    try:
        return f'"{GUIDED}"' in read_metadata(path).get("config", "")
    except WeightsError:  # no network of this program; `load_predictor` tells what is wrong
        return False
