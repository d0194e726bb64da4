"""ResNets (He et al. 2016, stride in the 3x3 convolution) up to the stride-32 map, without the classifier.

Parameter names are torchvision's, so that its public ImageNet weights load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handdgp_core.errors import UsageError
from handdgp_core.networks.config import RESNET_WIDTH

__all__ = ["DEPTHS", "ResNet"]

# Depth -> (blocks in each of the four stages, whether they are bottlenecks).
DEPTHS: dict[int, tuple[tuple[int, int, int, int], bool]] = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 to narrow, 3x3, 1x1 to widen, and a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """`forward` maps (B, 3, S, S), normalised with ImageNet's mean and deviation, to (B, channels, S / 32, S / 32).

    Args:
        depth: 18, 34, 50 or 101.
        with_stem: whether it begins with the image; else with another network's stem, by `stages`.
        width: channels of the stem and of the first stage; each stage after it has twice as many.

    Raises:
        UsageError: another depth.
    """

    def __init__(self, depth: int, with_stem: bool = True, width: int = RESNET_WIDTH) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise UsageError(f"There is no ResNet of depth {depth}; the depths are {', '.join(map(str, DEPTHS))}.")
        blocks, bottleneck = DEPTHS[depth]
        kind = Bottleneck if bottleneck else BasicBlock
        widths = [width * 2**stage for stage in range(len(blocks))]
        self.channels = widths[-1] * kind.expansion
        if with_stem:
            self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _stage(kind, width, widths[0], blocks[0], stride=1)
        self.layer2 = _stage(kind, widths[0] * kind.expansion, widths[1], blocks[1], stride=2)
        self.layer3 = _stage(kind, widths[1] * kind.expansion, widths[2], blocks[2], stride=2)
        self.layer4 = _stage(kind, widths[2] * kind.expansion, widths[3], blocks[3], stride=2)
        self._initialise()

    def forward(self, image: Tensor) -> Tensor:
        return self.stages(self.stem(image))[-1]

    def stem(self, image: Tensor) -> Tensor:
        """(B, `width`, S / 2, S / 2)."""
        x: Tensor = self.relu(self.bn1(self.conv1(image)))
        return x

    def stages(self, stem: Tensor) -> tuple[Tensor, ...]:
        """The maps of the four stages, at S / 4, S / 8, S / 16 and S / 32."""
        maps = [self.maxpool(stem)]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return tuple(maps[1:])

    @torch.no_grad()
    def _initialise(self) -> None:
        """Variance-preserving convolutions; every block starts close to its shortcut.

        The factor of its last norm is small and not 0, which would keep gradients from its other layers at first.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Bottleneck):
                nn.init.constant_(module.bn3.weight, 0.1)
            elif isinstance(module, BasicBlock):
                nn.init.constant_(module.bn2.weight, 0.1)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels_in == channels_out:
        return None
    convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))


def _stage(kind: type[BasicBlock] | type[Bottleneck], channels: int, width: int, count: int, stride: int) -> nn.Module:
    rest = [kind(width * kind.expansion, width, 1) for _ in range(count - 1)]
    return nn.Sequential(kind(channels, width, stride), *rest)
