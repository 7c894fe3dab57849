"""Pre-activation residual blocks (He et al., arXiv 1603.05027) and their networks for small images."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.classifiers.staged import StagedClassifier, conv
from mmgan.errors import UserError
from mmgan.networks.checks import require_positive

# depth -> (whether its blocks are bottlenecks, number of blocks in each of the four stages)
_DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}


class PreActBlock(nn.Module):
    """A basic block. Branch: BN, ReLU, 3x3, BN, ReLU, dropout, 3x3.

    (n, c, h, w) -> (n, d, h/stride, w/stride). Where shapes differ, the shortcut is a 1x1 convolution of the first
    activation, else it is the raw input.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, out_channels, 3, stride, bias)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(out_channels, out_channels, 3, 1, bias)
        changes = stride != 1 or in_channels != out_channels
        self.shortcut = conv(in_channels, out_channels, 1, stride, bias) if changes else None

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        a = torch.relu(self.bn1(x))
        h = self.conv1(a)  # (n, d, h/stride, w/stride)
        h = self.conv2(self.dropout(torch.relu(self.bn2(h))))
        out: Tensor = h + (x if self.shortcut is None else self.shortcut(a))
        return out


class PreActBottleneck(nn.Module):
    """A bottleneck block. Branch: BN, ReLU and a convolution, three times (1x1, 3x3, 1x1 to four times the width).

    (n, c, h, w) -> (n, 4 * width, h/stride, w/stride). Dropout comes before the last convolution. The shortcut is that
    of `PreActBlock`.
    """

    def __init__(self, in_channels: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        out_channels = 4 * width
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, width, 1, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv3 = conv(width, out_channels, 1, 1)
        changes = stride != 1 or in_channels != out_channels
        self.shortcut = conv(in_channels, out_channels, 1, stride) if changes else None

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        a = torch.relu(self.bn1(x))
        h = self.conv1(a)  # (n, width, h, w)
        h = self.conv2(torch.relu(self.bn2(h)))  # (n, width, h/stride, w/stride)
        h = self.conv3(self.dropout(torch.relu(self.bn3(h))))  # (n, d, h/stride, w/stride)
        out: Tensor = h + (x if self.shortcut is None else self.shortcut(a))
        return out


class PreActResNet(StagedClassifier):
    """Pre-activation ResNet for small images: 3x3 stem, four stages of 1, 2, 4 and 8 times the width, pooling, linear.

    It follows the widely used CIFAR implementation (kuangliu/pytorch-cifar) and the released code of Manifold Mixup.
    Both have no BatchNorm and ReLU between the last block and the global average pooling, and use torch's default
    initialisation. PreActResNet-18 with 10 classes on RGB has 11,171,146 parameters.

    Args:
        depth: 18 or 34 (basic blocks), or 50, 101 or 152 (bottleneck blocks).
        num_classes: number of logits.
        channels: channels of the images. Their size may be anything from 8 pixels up.
        width: channels of the first stage, or of the inner convolutions there for bottleneck blocks.
        dropout: probability, in [0, 1), before the last convolution of each block. The paper compares dropout on this
            network (Section 5.1) and does not say where it is applied. This is its place in Wide ResNets.
        stem_stride: 2 halves the image in the stem, as the released code does for Tiny ImageNet.

    Attributes:
        stages: {"1": "stage1", "h1": "stage1", ..., "4": "stage4", "features": "pool"}: the outputs of whole residual
            stages, and the pooled features before the linear layer. Each runs once in a forward.

    Raises:
        UserError: for a depth or a setting that does not fit.
    """

    def __init__(
        self,
        depth: int = 18,
        num_classes: int = 10,
        channels: int = 3,
        width: int = 64,
        dropout: float = 0.0,
        stem_stride: int = 1,
    ) -> None:
        if depth not in _DEPTHS:
            raise UserError(f"there is no PreActResNet of depth {depth}: choose 18, 34, 50, 101 or 152")
        require_positive(num_classes=num_classes, channels=channels, width=width, stem_stride=stem_stride)
        super().__init__(channels)
        bottleneck, repeats = _DEPTHS[depth]
        self.stem = conv(channels, width, 3, stem_stride)
        before = width
        for i, blocks in enumerate(repeats):
            inner = width * 2**i
            stage = nn.Sequential()
            for j in range(blocks):
                stride = 2 if i > 0 and j == 0 else 1
                if bottleneck:
                    stage.append(PreActBottleneck(before, inner, stride, dropout))
                else:
                    stage.append(PreActBlock(before, inner, stride, dropout, bias=False))
                before = 4 * inner if bottleneck else inner
            self.add_module(f"stage{i + 1}", stage)
        self.add_head(before, num_classes, stages=4)
