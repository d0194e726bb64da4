"""Labelled data sets through a model: a network on the hand's true box, or the whole program, detector included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torch.utils.data import default_collate

from handdgp_core.arrays import Array
from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings, render_views
from handdgp_core.datasets.sample import LabelledHand, LabelledHands
from handdgp_core.drawing.examples import Example, Examples, example_of
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.hand_length import scale_to_chain
from handdgp_core.estimation.predictor import PositioningMethod
from handdgp_core.evaluation.summary import Pairs
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import chain_of
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import NetworkOutput
from handdgp_core.types import Frame, Hand

__all__ = ["METHODS", "PROTOCOLS", "Protocol", "evaluate_estimator", "evaluate_network", "view_settings"]

METHODS: tuple[PositioningMethod, ...] = ("published", "refined")
# What of a picture the network sees. "keypoints": the square around the true keypoints (a data set's box where it has
# no keypoints). "mobrecon": FreiHAND's pictures hold one hand near their middle, and MobRecon and CMR evaluate on
# 130 px about it, so published figures are for this one.
Protocol = Literal["keypoints", "mobrecon"]
PROTOCOLS: dict[Protocol, float | None] = {"keypoints": None, "mobrecon": 130.0}
Progress = Callable[[int, int], None]


def view_settings(network: HandDGP, protocol: Protocol = "keypoints") -> ViewSettings:
    """The view that a network wants of a sample, with nothing varied."""
    config = network.config
    policy = config.rectification.policy
    plain = ViewSettings()
    factor = plain.crop_factor / (config.rectification.fill if policy == "fit" else 1.0)
    focal, size = config.rectification.focal_px, config.image_size
    square = PROTOCOLS[protocol]
    return replace(plain, policy=policy, size=size, focal_px=focal, crop_factor=factor, square_px=square).steady()


def evaluate_network(
    network: HandDGP,
    hands: LabelledHands,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
    batch_size: int = 16,
    protocol: Protocol = "keypoints",
    hand_length_m: float | None = None,
) -> dict[PositioningMethod, Pairs]:
    """A network on crops around the labelled hands, with both solves of one forward pass.

    Args:
        network: in evaluation mode, on any device.
        hands: the data set. Meshes of another topology than the network's are not compared.
        progress: told (done, total).
        cancelled: stops when set; what was done so far is returned.
        examples: takes samples for figures, placed by the network's own solve.
        batch_size: crops at a time.
        protocol: which crops.
        hand_length_m: every hand is scaled to this length, wrist crease to middle finger tip, before it is placed
            (supplement, section 3); None for no change.

    Raises:
        DatasetError: a sample that cannot be read.
    """
    template = network.template
    source = _SameMesh(hands, template.vertex_count)
    views = ViewPairs(
        source,
        template.vertex_count,
        view_settings(network, protocol),
        AppearanceSettings.none(),
        view_count=1,
        hand_scale_m=template.hand_scale_m,
        keypoint_count=template.keypoint_count,
    )
    results: dict[PositioningMethod, Pairs] = {
        method: Pairs(keypoint_count=template.keypoint_count) for method in METHODS
    }
    for indices in _batches(len(source), batch_size):
        if cancelled is not None and cancelled.is_set():
            break
        source.samples.clear()
        batch = default_collate([views[index] for index in indices])
        batch = move_data_to_device(batch, next(network.parameters()).device)
        samples = [source.samples[index] for index in indices]
        turn = batch["view1"]["virtual_from_camera"].double().cpu().numpy()
        for method, output in _solve(network, batch, hand_length_m).items():
            _add(results[method], samples, output, turn)
            if examples is not None and method == network.config.positioning:
                _keep(examples, samples, indices, len(source), output, turn, network, batch)
        progress(indices[-1] + 1, len(source))
    return results


def evaluate_estimator(
    estimator: HandEstimator,
    hands: LabelledHands,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
) -> Pairs:
    """The whole program, detector included, on each picture by itself; the most certain hand counts.

    Arguments and errors as in `evaluate_network`. Meshes are compared where the topology is the same.
    """
    pairs = Pairs()
    for index in range(len(hands)):
        if cancelled is not None and cancelled.is_set():
            break
        sample = hands[index]
        camera = _camera(sample)
        estimator.reset()
        found = estimator.estimate(Frame(sample.image, index, index, sample.name), camera)
        hand = max(found, key=lambda hand: hand.score, default=None)
        pairs.add(*_compared(sample, hand))
        if hand is not None and examples is not None and examples.wants(index, len(hands)):
            examples.add(example_of(sample.image, camera, hand, sample.keypoints_m[0], sample.name))
        progress(index + 1, len(hands))
    return pairs


def _camera(sample: LabelledHand) -> Camera:
    return Camera(sample.image.shape[1], sample.image.shape[0], sample.matrix)


class _SameMesh:
    """A data set without the meshes of another topology; it keeps what it gave since it was cleared."""

    def __init__(self, hands: LabelledHands, vertex_count: int) -> None:
        self._hands = hands
        self._count = vertex_count
        self.samples: dict[int, LabelledHand] = {}

    def __len__(self) -> int:
        return len(self._hands)

    def __getitem__(self, index: int) -> LabelledHand:
        sample = self._hands[index]
        if sample.vertices_m is not None and len(sample.vertices_m) != self._count:
            sample = replace(sample, vertices_m=None)
        self.samples[index] = sample
        return sample


def _solve(
    network: HandDGP, batch: dict[str, Any], hand_length_m: float | None
) -> dict[PositioningMethod, NetworkOutput]:
    with torch.no_grad():
        view = render_views(batch, network.config.image_size)["view1"]
        relative = network.relative(view["image"], view["intrinsics"])
        if hand_length_m is not None:
            keypoints_m = network.keypoints(relative.vertices * network.template.hand_scale_m)
            factors = torch.from_numpy(scale_to_chain(_array(keypoints_m), chain_of(hand_length_m))).to(
                relative.vertices
            )
            relative = relative._replace(vertices=relative.vertices * factors[:, None, None])
        return {method: network.position(relative, view["intrinsics"], method) for method in METHODS}


def _add(pairs: Pairs, samples: list[LabelledHand], output: NetworkOutput, turn: Array) -> None:
    """Back to each camera's frame (row vectors, so the inverse of the turn is a product with it), then side by side."""
    keypoints, vertices = _array(output.keypoints_m) @ turn, _array(output.vertices_m) @ turn
    for sample, joints, mesh in zip(samples, keypoints, vertices, strict=True):
        pairs.add(sample.keypoints_m, joints, None, sample.vertices_m, mesh, sample.name)


def _keep(
    examples: Examples,
    samples: list[LabelledHand],
    indices: list[int],
    total: int,
    output: NetworkOutput,
    turn: Array,
    network: HandDGP,
    batch: dict[str, Any],
) -> None:
    matrices = batch["view1"]["intrinsics"].double().cpu().numpy()
    places = _array(network.pixels(output.keypoints_uv))
    for row, (index, sample) in enumerate(zip(indices, samples, strict=True)):
        if not examples.wants(index, total):
            continue
        homogeneous = np.concatenate([places[row], np.ones((len(places[row]), 1))], axis=1)
        projected = homogeneous @ (sample.matrix @ turn[row].T @ np.linalg.inv(matrices[row])).T
        faces = network.template.faces if np.linalg.det(turn[row]) > 0 else network.template.faces[:, ::-1]
        examples.add(
            Example(
                sample.image,
                _camera(sample),
                np.ascontiguousarray(faces, dtype=np.int32),
                _array(output.vertices_m)[row] @ turn[row],
                _array(output.root_m)[row] @ turn[row],
                sample.keypoints_m[0],
                projected[:, :2] / projected[:, 2:],
                _array(output.weights)[row],
                sample.vertices_m,
                sample.name,
            )
        )


def _compared(
    sample: LabelledHand, hand: Hand | None
) -> tuple[Array, Array | None, bool | None, Array | None, Array | None, str]:
    if hand is None:
        return sample.keypoints_m, None, None, None, None, sample.name
    same = sample.vertices_m is not None and sample.vertices_m.shape == hand.vertices_m.shape
    right = hand.handedness == sample.handedness
    meshes = (sample.vertices_m, hand.vertices_m) if same else (None, None)
    return sample.keypoints_m, hand.keypoints_m, right, *meshes, sample.name


def _batches(count: int, size: int) -> Iterator[list[int]]:
    for first in range(0, count, size):
        yield list(range(first, min(first + size, count)))


def _array(value: torch.Tensor) -> Array:
    return np.asarray(value.double().cpu().numpy())
