"""The landmark network equals MediaPipe's, can be trained, and refuses what is not it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import AssetError, ShapeError, WeightsError
from handdgp_core.networks.backbones import mediapipe_landmarks as module
from handdgp_core.networks.backbones.mediapipe_landmarks import ASSET, MEMBER, MediaPipeLandmarks, SamePadConv


@pytest.fixture(scope="session")
def network() -> MediaPipeLandmarks:
    return MediaPipeLandmarks.load()


@pytest.fixture(scope="session")
def model_bytes() -> bytes:
    return zipfile.ZipFile(ASSET).read(MEMBER)


def blotches(count: int, seed: int = 0) -> np.ndarray:
    """(count, 3, 224, 224) smooth random pictures in [0, 1]."""
    rng = np.random.default_rng(seed)
    images = [cv2.resize(rng.random((9, 9, 3)), (224, 224), interpolation=cv2.INTER_CUBIC) for _ in range(count)]
    return np.stack(images).transpose(0, 3, 1, 2).clip(0, 1).astype(np.float32)


def reference_outputs(model_bytes: bytes, image: np.ndarray) -> list[np.ndarray]:
    """OpenCV's own reading of the same file."""
    net = cv2.dnn.readNetFromTFLite(np.frombuffer(model_bytes, np.uint8))
    net.setInput(image)
    return [net.forward(name)[0] for name in ("Identity", "Identity_1", "Identity_2", "Identity_3")]


def test_it_computes_what_the_original_computes(network: MediaPipeLandmarks, model_bytes: bytes) -> None:
    for image in blotches(2)[:, None]:
        landmarks, presence, right, world = reference_outputs(model_bytes, image)
        with torch.inference_mode():
            ours = network(torch.from_numpy(image))
        landmarks = landmarks.reshape(21, 3)
        np.testing.assert_allclose(ours.keypoints_px[0], landmarks[:, :2] - 0.5, atol=1e-3)
        np.testing.assert_allclose(ours.keypoints_z[0], landmarks[:, 2], atol=1e-3)
        np.testing.assert_allclose(ours.world_m[0], world.reshape(21, 3), atol=1e-6)
        np.testing.assert_allclose([ours.presence[0], ours.right[0]], [presence[0], right[0]], rtol=1e-3)


def test_a_batch_gives_what_its_images_give_alone(network: MediaPipeLandmarks) -> None:
    images = torch.from_numpy(blotches(3))
    with torch.inference_mode():
        batch = network(images)
        alone = [network(image[None]) for image in images]
    for name, value in batch._asdict().items():
        expected = torch.cat([getattr(output, name) for output in alone])
        torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-4)


def test_features_have_the_promised_shapes_and_lead_to_the_output(network: MediaPipeLandmarks) -> None:
    images = torch.from_numpy(blotches(2))
    with torch.inference_mode():
        features = network.features(images)
        expected = network(images)
        again = network.heads(features.pooled)
    assert [tuple(value.shape) for value in features] == [(2, 112, 14, 14), (2, 192, 7, 7), (2, 1152)]
    torch.testing.assert_close(again.world_m, expected.world_m)
    assert [tuple(value.shape) for value in expected] == [(2, 21, 2), (2, 21), (2, 21, 3), (2,), (2,)]


def test_every_parameter_learns() -> None:
    network = MediaPipeLandmarks.load()
    output = network(torch.from_numpy(blotches(2)))
    sum(value.square().sum() for value in output).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_state_dict_names_are_stable_and_enough_to_rebuild_it(network: MediaPipeLandmarks) -> None:
    state = network.state_dict()
    names = {"stem.weight", "blocks.0.depthwise.bias", "blocks.14.project.weight", "tail_depthwise.weight"}
    names |= {
        f"{head}_head.{part}" for head in ("image", "world", "presence", "handedness") for part in ("weight", "bias")
    }
    assert names <= set(state)
    assert "blocks.0.expand.weight" not in state
    assert sum(value.numel() for value in state.values()) == 2_715_680
    again = MediaPipeLandmarks().eval()
    again.load_state_dict(state)
    image = torch.from_numpy(blotches(1))
    with torch.inference_mode():
        torch.testing.assert_close(again(image).world_m, network(image).world_m)


@settings(max_examples=20, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    half=st.integers(3, 7),
    seed=st.integers(0, 99),
)
def test_same_padding_against_a_slow_twin(kernel: int, stride: int, half: int, seed: int) -> None:
    """TensorFlow pads max((ceil(n / s) - 1) s + k - n, 0) in all, the smaller half first."""
    if kernel < stride:
        return
    torch.manual_seed(seed)
    layer = SamePadConv(2, 3, kernel, stride).double()
    image = torch.randn(1, 2, 2 * half, 2 * half, dtype=torch.float64)
    total = max((half * 2 // stride - 1) * stride + kernel - 2 * half, 0)
    padded = np.pad(image[0].numpy(), [(0, 0)] + [(total // 2, total - total // 2)] * 2)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    side = 2 * half // stride
    expected = np.empty((3, side, side))
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            patch = padded[:, top : top + kernel, left : left + kernel]
            expected[:, row, column] = (weight * patch).sum(axis=(1, 2, 3)) + bias
    np.testing.assert_allclose(layer(image)[0].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 3, 223, 224), (1, 1, 224, 224), (1, 224, 224, 3)])
def test_a_picture_of_another_shape_is_refused(network: MediaPipeLandmarks, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="224"):
        network(torch.zeros(shape))


def test_bytes_for_a_picture_are_refused(network: MediaPipeLandmarks) -> None:
    with pytest.raises(ShapeError, match="uint8"):
        network(torch.zeros((1, 3, 224, 224), dtype=torch.uint8))


def test_a_missing_file_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"nothing\.task.*no such file") as caught:
        MediaPipeLandmarks.load(tmp_path / "nothing.task")
    assert caught.value.hint.startswith("Put the original")


@pytest.mark.parametrize("keep", [0, 3, 1000, -1000])
def test_a_cut_file_is_a_damaged_asset(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.task"
    path.write_bytes(ASSET.read_bytes()[:keep])
    with pytest.raises(AssetError, match="damaged"):
        MediaPipeLandmarks.load(path)


def test_a_flipped_bit_in_the_weights_is_a_damaged_asset(tmp_path: Path) -> None:
    content = bytearray(ASSET.read_bytes())
    with zipfile.ZipFile(ASSET) as archive:
        content[archive.getinfo(MEMBER).header_offset + 1_000_000] ^= 1
    path = tmp_path / "bit.task"
    path.write_bytes(content)
    with pytest.raises(AssetError, match="damaged"):
        MediaPipeLandmarks.load(path)


def archive_with(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_an_archive_without_the_network_is_no_asset(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="an archive without"):
        MediaPipeLandmarks.load(archive_with(tmp_path / "other.task", "readme.txt", b"hello"))


def test_another_network_under_its_name_is_refused(tmp_path: Path) -> None:
    palm_detector = zipfile.ZipFile(ASSET).read("hand_detector.tflite")
    with pytest.raises(WeightsError, match="not supported"):
        MediaPipeLandmarks.load(archive_with(tmp_path / "palm.task", MEMBER, palm_detector))


def test_a_network_of_other_sizes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCKS", ((24, 24, 5, 1, 16), *module.BLOCKS[1:]))
    with pytest.raises(WeightsError, match="shape"):
        MediaPipeLandmarks.load()


@settings(max_examples=25, deadline=None)
@given(position=st.floats(0, 1), value=st.integers(0, 255), tail=st.booleans())
def test_a_damaged_network_raises_nothing_but_its_own_error(
    tmp_path_factory: pytest.TempPathFactory, model_bytes: bytes, position: float, value: int, tail: bool
) -> None:
    content = bytearray(model_bytes)
    index = int(position * 20_000)  # the tables lie at both ends of the file, the weights between
    content[-1 - index if tail else index] = value
    path = archive_with(tmp_path_factory.mktemp("damaged") / "a.task", MEMBER, bytes(content))
    try:
        loaded = MediaPipeLandmarks.load(path)
    except WeightsError:
        return
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 2_715_680
