"""The whole network: shapes, gradients, precision, and what must never be a plausible number."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks import HandDGP, NetworkConfig, NetworkOutput, RelativeOutput
from handdgp_core.networks.backbones.registry import BACKBONES, GUIDED
from handdgp_core.networks.backbones.resnet import ResNet
from tests.meshes import SMALL_NETWORK, small_template
from tests.places import TESTS


def config_of(backbone: str) -> NetworkConfig:
    return SMALL_NETWORK.model_copy(
        update={"backbone": backbone, "image_size": 224 if backbone.startswith("mediapipe") else 64}
    )


def intrinsics(batch: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    matrix = torch.tensor([[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]], dtype=dtype)
    return matrix.expand(batch, 3, 3)


def placed(network: HandDGP, batch: int, dtype: torch.dtype = torch.float32) -> RelativeOutput:
    """What a good network would say of the template, half a metre away."""
    points = torch.from_numpy(network.template.keypoint_regressor @ network.template.vertices).to(dtype)
    points = points + torch.tensor([0.02, -0.01, 0.5], dtype=dtype)
    size = network.config.image_size
    pixels = 2.0 * size * points[:, :2] / points[:, 2:] + size / 2
    uv = (pixels - network.config.pixel_offset) / size
    vertices = torch.from_numpy(network.template.vertices).to(dtype) / network.template.hand_scale_m
    weights = torch.linspace(0.2, 1.0, len(points), dtype=dtype)
    return RelativeOutput(*(part.expand(batch, *part.shape).clone() for part in (uv, vertices, weights)))


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != GUIDED])
def test_every_parameter_of_every_model_gets_a_gradient(backbone: str, ball: Template) -> None:
    torch.manual_seed(0)
    network = HandDGP(config_of(backbone), ball).train()
    image = torch.rand(2, 3, network.config.image_size, network.config.image_size)
    relative = network.relative(image)
    # Around a hand in front of the camera, so that DGP has a root: its gradient reaches all heads.
    good = placed(network, 2)
    near = RelativeOutput(*(a + 0.01 * b for a, b in zip(good, relative, strict=True)))
    output = network.position(near, intrinsics(2, network.config.image_size))
    assert not output.degenerate.any()
    (output.vertices_m.square().sum() + output.root_m.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("keypoints", [21, 29])
def test_shapes(keypoints: int) -> None:
    template = small_template(keypoints)
    network = HandDGP(SMALL_NETWORK, template).eval()
    output = network(torch.rand(3, 3, 64, 64), intrinsics(3, 64))
    assert isinstance(output, NetworkOutput)
    shapes = [tuple(part.shape) for part in output]
    vertices = template.vertex_count
    assert shapes == [
        (3, keypoints, 2),
        (3, vertices, 3),
        (3, keypoints),
        (3, 3),
        (3, vertices, 3),
        (3, keypoints, 3),
        (3,),
    ]
    assert output.degenerate.dtype == torch.bool
    assert ((output.weights > 0) & (output.weights < 1)).all()


@pytest.mark.parametrize("positioning", ["published", "refined"])
def test_a_hand_is_placed_where_it_is(positioning: str, ball: Template) -> None:
    network = HandDGP(SMALL_NETWORK.model_copy(update={"positioning": positioning}), ball).double()
    output = network.position(placed(network, 2, torch.float64), intrinsics(2, 64, torch.float64))
    expected = torch.tensor([0.02, -0.01, 0.5], dtype=torch.float64).expand(2, 3)
    torch.testing.assert_close(output.root_m, expected, atol=1e-6, rtol=0)  # the regressor is stored as float32
    template = torch.from_numpy(ball.vertices)
    torch.testing.assert_close(output.vertices_m, expected[:, None] + template, atol=1e-6, rtol=0)
    torch.testing.assert_close(output.keypoints_m[:, 0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("positioning", ["published", "refined"])
def test_gradcheck_through_dgp(positioning: str) -> None:
    """To keypoints, vertices and weights, with noise so that no residual is zero."""
    network = HandDGP(SMALL_NETWORK.model_copy(update={"positioning": positioning}), small_template(5)).double()
    generator = torch.Generator().manual_seed(3)
    inputs = tuple(
        (part + 0.01 * torch.randn(part.shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for part in placed(network, 1, torch.float64)
    )

    def place(*parts: Tensor) -> tuple[Tensor, Tensor]:
        output = network.position(RelativeOutput(*parts), intrinsics(1, 64, torch.float64))
        return output.root_m, output.keypoints_m

    assert torch.autograd.gradcheck(place, inputs, fast_mode=True)


def test_gradcheck_through_the_heads() -> None:
    """From features to the root: heads, sampling at the predicted keypoints, spirals and DGP together."""
    torch.manual_seed(1)
    network = HandDGP(SMALL_NETWORK, small_template(5)).double().eval()
    good = placed(network, 1, torch.float64)

    def root(features: Tensor) -> Tensor:
        uv = good.keypoints_uv + 0.02 * torch.tanh(network.keypoint_head(features))
        vertices = good.vertices + 0.1 * network.mesh_head(features, uv)
        weights = network.weight_head(features, uv)
        return network.position(RelativeOutput(uv, vertices, weights), intrinsics(1, 64, torch.float64)).root_m

    features = torch.randn(1, 512, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.isfinite(root(features)).all()
    assert torch.autograd.gradcheck(root, (features,), fast_mode=True)


def test_a_nan_image_is_flagged_and_leaves_its_neighbour_alone(ball: Template) -> None:
    network = HandDGP(SMALL_NETWORK, ball).eval()
    image = torch.rand(2, 3, 64, 64)
    alone = network(image[1:], intrinsics(1, 64))
    image[0] = torch.nan
    output = network(image, intrinsics(2, 64))
    assert output.degenerate[0]
    assert output.root_m[0].isnan().all() and output.vertices_m[0].isnan().all()
    torch.testing.assert_close(output.vertices[1], alone.vertices[0])
    assert output.degenerate[1] == alone.degenerate[0]


def test_a_singular_sample_gives_no_gradient(ball: Template) -> None:
    network = HandDGP(SMALL_NETWORK, ball)
    parts = placed(network, 2)
    parts.keypoints_uv[0] = 0.5  # all in one place
    inputs = RelativeOutput(*(part.requires_grad_() for part in parts))
    output = network.position(inputs, intrinsics(2, 64))
    assert output.degenerate.tolist() == [True, False]
    torch.where(output.degenerate[:, None], 0.0, output.root_m).sum().backward()
    for part in inputs:
        assert part.grad is not None
        assert (part.grad[0] == 0).all() and part.grad[1].abs().sum() > 0


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backbone", ["resnet18", "mediapipe"])
def test_half_precision_keeps_the_solve_in_float32(kind: torch.dtype, backbone: str, ball: Template) -> None:
    torch.manual_seed(0)
    network = HandDGP(config_of(backbone), ball).eval()
    size = network.config.image_size
    image = torch.rand(1, 3, size, size)
    full = network.relative(image)
    with torch.autocast("cpu", dtype=kind):
        relative = network.relative(image)
        output = network.position(placed(network, 1), intrinsics(1, size))
    assert relative.keypoints_uv.dtype == relative.vertices.dtype == torch.float32
    assert all(part.dtype == torch.float32 for part in output[:-1])
    expected = torch.tensor([[0.02, -0.01, 0.5]])
    torch.testing.assert_close(output.root_m, expected, atol=1e-5, rtol=0)
    for found, wanted in zip(relative, full, strict=True):
        assert (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_training_in_bfloat16_reaches_every_parameter(ball: Template) -> None:
    torch.manual_seed(0)
    network = HandDGP(SMALL_NETWORK, ball).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        relative = network.relative(torch.rand(2, 3, 64, 64))
        near = RelativeOutput(*(a + 0.01 * b for a, b in zip(placed(network, 2), relative, strict=True)))
        output = network.position(near, intrinsics(2, 64))
    output.vertices_m.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.dtype == torch.float32


def test_pixel_offset_moves_the_hand_by_half_a_pixel(ball: Template) -> None:
    """The same fractions, read from the crop's edge or from the first pixel's centre."""
    ours = HandDGP(SMALL_NETWORK, ball)
    theirs = HandDGP(SMALL_NETWORK.model_copy(update={"pixel_offset": 0.0}), ball)
    uv = torch.tensor([[[0.25, 0.75]]])
    assert ours.pixels(uv).flatten().tolist() == [15.5, 47.5]
    assert theirs.pixels(uv).flatten().tolist() == [16.0, 48.0]
    shifted = intrinsics(1, 64).clone()
    shifted[:, :2, 2] += 0.5
    torch.testing.assert_close(theirs.normalised(uv, shifted), ours.normalised(uv, intrinsics(1, 64)))


def test_wrong_arguments_are_refused(ball: Template) -> None:
    network = HandDGP(SMALL_NETWORK, ball).eval()
    for image, matrix in [
        (torch.rand(1, 3, 65, 64), intrinsics(1, 64)),
        (torch.rand(3, 64, 64), intrinsics(1, 64)),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), intrinsics(1, 64)),
        (torch.rand(2, 3, 64, 64), intrinsics(1, 64)),
        (torch.rand(1, 3, 64, 64), intrinsics(1, 64)[0]),
    ]:
        with pytest.raises(ShapeError):
            network(image, matrix)
    with pytest.raises(UsageError, match='template "open"'):
        HandDGP(SMALL_NETWORK.model_copy(update={"template": "open"}), ball)


@pytest.mark.parametrize(
    ("depth", "parameters"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032), (101, 42_500_160)]
)
def test_resnets_have_torchvisions_size(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in ResNet(depth).parameters()) == parameters


def test_resnet50_has_torchvisions_names_and_shapes() -> None:
    """The published network's backbone is torchvision's."""
    shapes = json.loads((TESTS / "data" / "networks" / "published_shapes.json").read_text())
    expected = {key.removeprefix("backbone."): shape for key, shape in shapes.items() if key.startswith("backbone.")}
    with torch.device("meta"):
        assert {key: list(value.shape) for key, value in ResNet(50).state_dict().items()} == expected


def test_a_resnet_of_another_depth_is_refused() -> None:
    with pytest.raises(UsageError, match="18, 34, 50, 101"):
        ResNet(20)


def test_training_keeps_the_gradient_of_a_hand_behind_the_camera(ball: Template) -> None:
    network = HandDGP(SMALL_NETWORK, ball)
    parts = placed(network, 2)
    parts.keypoints_uv[0] = 1 - parts.keypoints_uv[0]  # the image of a hand behind the camera
    inputs = RelativeOutput(*(part.requires_grad_() for part in parts))
    output = network.train().position(inputs, intrinsics(2, 64))
    assert not output.degenerate.any() and output.root_m[0, 2] < 0
    output.root_m[0].abs().sum().backward()
    assert torch.isfinite(inputs.keypoints_uv.grad).all() and inputs.keypoints_uv.grad[0].any()
    assert network.eval().position(inputs, intrinsics(2, 64)).degenerate.tolist() == [True, False]
