"""The guided network: it starts as the landmarks, knows no camera but the virtual one, and reads the trunk's map."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from handdgp_core.errors import UsageError
from handdgp_core.geometry.alignment import align_rigid
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks import frozen
from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput
from handdgp_core.networks.backbones.registry import GUIDED
from handdgp_core.networks.checkpoints.weights import load_network, save_network
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.frozen import freeze
from handdgp_core.networks.guide import initial_hand
from handdgp_core.networks.guided_handdgp import GuidedHandDGP, make_network
from handdgp_core.networks.handdgp import HandDGP
from tests.meshes import small_template

CONFIG = NetworkConfig(
    backbone=GUIDED, template="ball", mesh_widths=(24, 16, 8, 8), weight_latent=16, guide_width=32, token_width=8
)


@pytest.fixture
def network(one_torch_thread: None) -> GuidedHandDGP:
    torch.manual_seed(0)
    made = make_network(CONFIG.model_copy(update={"pretrained": "assets"}), small_template())
    assert isinstance(made, GuidedHandDGP)
    return made.eval()


def intrinsics(batch: int, focal: float = 450.0) -> Tensor:
    return torch.tensor([[focal, 0, 111.5], [0, focal, 111.5], [0, 0, 1]]).expand(batch, 3, 3)


def landmarks_of(world_m: Tensor, root_m: Tensor, focal: float = 450.0) -> LandmarkOutput:
    placed = world_m + root_m
    pixels = focal * placed[..., :2] / placed[..., 2:] + 111.5
    count = len(world_m)
    return LandmarkOutput(pixels, placed[..., 2] * 100, world_m, torch.full((count,), 0.9), torch.full((count,), 0.9))


def open_points() -> Tensor:
    return torch.from_numpy(OpenHand.load().keypoints - OpenHand.load().keypoints[0]).float()


def test_the_frame_is_that_of_the_palm_and_the_joints_do_not_depend_on_it() -> None:
    points = open_points()
    turns = torch.from_numpy(Rotation.random(8, random_state=0).as_matrix()).float()
    world = points @ turns.transpose(1, 2) + torch.tensor([0.01, 0.02, -0.03])
    found = initial_hand(landmarks_of(world, torch.tensor([0.0, 0.0, 0.5])), intrinsics(8), points, 0.2)
    torch.testing.assert_close(found.frame, turns, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.points, (points / 0.2).expand(8, 21, 3), atol=1e-4, rtol=0)


def test_the_frame_is_a_rotation_for_bent_and_for_mirrored_palms() -> None:
    points = open_points()
    rng = np.random.default_rng(1)
    bent = points + torch.from_numpy(rng.normal(0, 0.02, (6, 21, 3))).float()
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    for world in (bent, mirrored[None]):
        frame = initial_hand(
            landmarks_of(world, torch.tensor([0.0, 0.0, 0.6])), intrinsics(len(world)), points, 0.2
        ).frame
        torch.testing.assert_close(torch.det(frame), torch.ones(len(world)), atol=1e-4, rtol=0)
        palm = [0, 1, 5, 9, 13, 17]
        slow = align_rigid(points[None, palm].expand(len(world), -1, -1).numpy(), world[:, palm].numpy()).rotation
        np.testing.assert_allclose(frame.numpy(), slow, atol=1e-4)


def test_sizes_beyond_belief_are_not_believed() -> None:
    points = open_points()
    for factor in (0.5, 2.0):
        found = initial_hand(
            landmarks_of(factor * points[None], torch.tensor([0.0, 0.0, 0.5])), intrinsics(1), points, 0.2
        )
        chain = found.points[0, [0, 9, 10, 11, 12]] * 0.2
        length = float((chain[1:] - chain[:-1]).norm(dim=-1).sum())
        assert length == pytest.approx(0.1565 if factor < 1 else 0.1967, abs=1e-4)


def test_landmarks_that_have_no_root_give_finite_numbers() -> None:
    """All joints in one point: no length, no frame, no root."""
    nowhere = landmarks_of(torch.zeros(1, 21, 3), torch.tensor([0.0, 0.0, 0.5]))
    found = initial_hand(nowhere, intrinsics(1), open_points(), 0.2)
    for part in found:
        assert torch.isfinite(part).all()


def test_untrained_it_passes_the_landmarks_on(network: GuidedHandDGP) -> None:
    image = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        said = network.backbone.network(image)
        found, landmarks = network.read(image, intrinsics(2))
    torch.testing.assert_close(found.keypoints_uv, (said.keypoints_px + 0.5) / 224, atol=1e-5, rtol=0)
    torch.testing.assert_close(landmarks.presence, said.presence)
    torch.testing.assert_close(landmarks.right, said.right)
    assert found.weights.std() < 1e-6
    torch.testing.assert_close(network.keypoints(found.vertices)[:, 0], torch.zeros(2, 3), atol=1e-5, rtol=0)


def test_the_trunks_map_stands_for_the_picture(network: GuidedHandDGP) -> None:
    image = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        whole = network(image, intrinsics(2))
        kept = network(network.backbone.network.trunk(image).half(), intrinsics(2))
    torch.testing.assert_close(kept.vertices, whole.vertices, atol=5e-3, rtol=0)
    torch.testing.assert_close(kept.keypoints_uv, whole.keypoints_uv, atol=5e-3, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_frozen_network_predicts_the_same(network: GuidedHandDGP, count: int) -> None:
    read = freeze(network)
    image = torch.rand(count, 3, 224, 224)
    matrix = intrinsics(count).clone()
    matrix[-1, :2, :2] *= 2
    with torch.inference_mode():
        whole, landmarks = network.read(image, matrix)
        for _ in range(3):  # the graph is optimised while it runs
            frozen, frozen_landmarks = read(image, matrix)
            for here, there in zip((*whole, *landmarks), (*frozen, *frozen_landmarks), strict=True):
                torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-5)


def test_equal_networks_share_one_frozen_graph_and_others_do_not(
    network: GuidedHandDGP, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch never lets go of what it froze, so that loading a model again must not freeze it again."""
    made = []
    monkeypatch.setattr(frozen, "_graphs", {})
    monkeypatch.setattr(frozen, "_frozen", lambda given: made.append(given) or object())
    other = deepcopy(network)
    freeze(network)
    freeze(other)
    assert made == [network]
    with torch.no_grad():
        next(other.parameters()).add_(1)
    freeze(other)
    assert made == [network, other]


def test_it_must_know_the_camera(network: GuidedHandDGP) -> None:
    with pytest.raises(UsageError, match="intrinsics"):
        network.relative(torch.rand(1, 3, 224, 224))


def test_the_hand_moves_away_as_the_focal_length_grows(network: GuidedHandDGP) -> None:
    """The same picture through a longer lens is a hand farther away: the network is told the virtual camera's."""
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        near, far = (network(image, intrinsics(1, focal)).root_m[0, 2] for focal in (400.0, 800.0))
    assert 1.5 < float(far / near) < 2.5


def test_every_trained_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = make_network(CONFIG, small_template()).train()
    for parameter in network.parameters():
        if not parameter.any():  # what starts at zero hides what stands before it
            torch.nn.init.normal_(parameter, std=0.01)
    output = network.relative(torch.rand(4, 3, 224, 224), intrinsics(4))
    (output.vertices.square().sum() + output.keypoints_uv.square().sum() + output.weights.square().sum()).backward()
    for name, parameter in network.named_parameters():
        if not name.startswith("backbone"):
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_it_comes_back_from_its_file(network: GuidedHandDGP, tmp_path: Path) -> None:
    save_network(network, tmp_path / "guided.safetensors")
    back = load_network(tmp_path / "guided.safetensors")
    assert isinstance(back, GuidedHandDGP)
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        for here, there in zip(network(image, intrinsics(1)), back(image, intrinsics(1)), strict=True):
            torch.testing.assert_close(there, here)


def test_other_backbones_make_other_networks() -> None:
    plain = make_network(NetworkConfig(backbone="resnet18", template="ball"), small_template())
    assert type(plain) is HandDGP
    with pytest.raises(UsageError, match=GUIDED):
        GuidedHandDGP(NetworkConfig(backbone="resnet18", template="ball"), small_template())
