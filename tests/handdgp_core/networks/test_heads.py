"""Heads and decoder against slow twins that say the same in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch import Tensor

from handdgp_core.errors import UsageError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.heads import KeypointHead, MeshHead, WeightHead, sample_at
from handdgp_core.networks.spiral_decoder import DepthSeparableSpiral, SpiralDecoder, Upsample


def slow_sample(features: Tensor, uv: Tensor) -> Tensor:
    """One keypoint at a time; the corner pixels' centres are the crop's corners."""
    batch, channels, height, width = features.shape
    out = torch.zeros(batch, channels, uv.shape[1], dtype=features.dtype)
    for sample in range(batch):
        for number in range(uv.shape[1]):
            x = min(max(float(uv[sample, number, 0]), 0.0), 1.0) * (width - 1)
            y = min(max(float(uv[sample, number, 1]), 0.0), 1.0) * (height - 1)
            for row in range(height):
                for column in range(width):
                    share = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
                    out[sample, :, number] += share * features[sample, :, row, column]
    return out


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sampling_equals_its_slow_twin(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    uv = torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * 1.6 - 0.3  # some outside
    torch.testing.assert_close(sample_at(features, uv), slow_sample(features, uv))


def test_sampling_hits_the_corners() -> None:
    features = torch.arange(49.0).view(1, 1, 7, 7)
    corners = torch.tensor([[[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]]])
    assert sample_at(features, corners).flatten().tolist() == [0, 6, 42, 48, 24]


def test_sampling_keeps_places_in_full_precision() -> None:
    features = torch.arange(49.0).view(1, 1, 7, 7).bfloat16()
    place = torch.tensor([[[0.5 + 1 / 512, 0.5]]])
    assert sample_at(features, place).item() == pytest.approx(24 + 6 / 512, abs=1e-5)


def test_a_place_that_is_not_a_number_does_not_end_the_process() -> None:
    features = torch.rand(1, 2, 2, 2, requires_grad=True)
    uv = torch.full((1, 3, 2), torch.nan, requires_grad=True)
    sample_at(features, uv).sum().backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()


def test_upsampling_equals_the_sparse_product(ball: Template) -> None:
    x = np.random.default_rng(0).normal(size=(2, len(ball.levels[1].vertices), 4))
    found = Upsample(ball.upsampling[0]).double()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, np.stack([ball.upsampling[0] @ sample for sample in x]), atol=1e-6)


def test_upsampling_takes_rows_of_any_fullness() -> None:
    matrix = csr_array(np.array([[0.0, 0, 0], [1, 2, 3], [0, 5, 0], [4, 0, 6]]))
    x = torch.tensor([[[1.0], [10], [100]]])
    assert Upsample(matrix)(x).flatten().tolist() == [0, 321, 50, 604]


def test_spiral_convolution_equals_its_slow_twin(ball: Template) -> None:
    layer = DepthSeparableSpiral(4, 5, ball.spirals[2]).double()
    vertices = len(ball.spirals[2])
    x = torch.randn(2, vertices, 4, dtype=torch.float64)
    expected = torch.zeros(2, vertices, 5, dtype=torch.float64)
    for vertex in range(vertices):
        for channel in range(4):
            along = x[:, ball.spirals[2][vertex].tolist(), channel]
            filtered = along @ layer.spatial[channel]
            expected[:, vertex] += filtered[:, None] * layer.channel[:, channel]
    torch.testing.assert_close(layer(x), expected)


def test_the_decoder_starts_with_a_small_lift(ball: Template) -> None:
    decoder = SpiralDecoder(ball, (16, 8, 8, 4), 9)
    assert decoder.lift.shape == (len(ball.levels[-1].vertices), 21)
    assert (decoder.lift == 0.01).all()
    assert decoder(torch.randn(2, 21, 16)).shape == (2, ball.vertex_count, 3)


def test_keypoints_are_read_off_each_channel_alone() -> None:
    head = KeypointHead(8, 4, 5, (6, 7)).double()
    features = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    found = head(features)
    assert found.shape == (2, 5, 2)
    latent = head.latent(features)
    first, second, third = (layer.weight for layer in head.layers)
    for keypoint in range(5):
        x = latent[:, keypoint].reshape(2, 16)
        x = torch.minimum(torch.relu(x @ first.T), torch.tensor(4.0))
        x = torch.minimum(torch.relu(x @ second.T), torch.tensor(4.0))
        torch.testing.assert_close(found[:, keypoint], x @ third.T)


def test_the_weight_head_flattens_channel_by_channel() -> None:
    head = WeightHead(12, 3, 8, (6,)).double().eval()
    features = torch.randn(2, 12, 4, 4, dtype=torch.float64)
    uv = torch.rand(2, 3, 2, dtype=torch.float64)
    latent = head.latent(features)
    assert latent.shape[1] == 4  # floor(12 / 3)
    sampled = slow_sample(latent, uv)
    flat = torch.stack([sampled[:, channel, keypoint] for channel in range(4) for keypoint in range(3)], dim=1)
    hidden = torch.nn.functional.leaky_relu(head.layers[0](flat), 0.01)
    torch.testing.assert_close(head(features, uv), torch.sigmoid(head.layers[1](hidden)))


def test_heads_that_do_not_fit_are_refused(ball: Template) -> None:
    with pytest.raises(UsageError, match="needs 4 values"):
        MeshHead(8, ball, (16, 8, 4), 9)
    with pytest.raises(UsageError, match="at least 29 channels"):
        WeightHead(20, 29, 8, (6,))
