"""Wide residual networks (Zagoruyko and Komodakis, arXiv 1605.07146)."""

from torch import nn

from mmgan.classifiers.preact import PreActBlock
from mmgan.classifiers.staged import StagedClassifier, conv
from mmgan.errors import UserError
from mmgan.networks.checks import require_positive


class WideResNet(StagedClassifier):
    """Wide ResNet: 3x3 stem of 16 channels, three stages of 16k, 32k and 64k channels, BN, ReLU, pooling, linear.

    As in the authors' code, the first convolution of a block has the stride, dropout comes between the two
    convolutions, and weights start normal with He's deviation over fan-out. WRN-28-10 with 10 classes on RGB has
    36,479,194 parameters.

    Args:
        depth: 6 n + 4 for n blocks per stage.
        widen_factor: the factor k of the widths above.
        num_classes: number of logits.
        channels: channels of the images. Their size may be anything from 4 pixels up.
        dropout: probability, in [0, 1).
        bias: give the convolutions a bias, as in the released code of Manifold Mixup.
        stem_stride: 2 halves the image in the stem, as the released code does for Tiny ImageNet.

    Attributes:
        stages: {"1": "stage1", "h1": "stage1", ..., "3": "stage3", "features": "pool"}: the outputs of whole residual
            stages, and the pooled features before the linear layer. Each runs once in a forward.

    Raises:
        UserError: for a depth or a setting that does not fit.
    """

    def __init__(
        self,
        depth: int = 28,
        widen_factor: int = 10,
        num_classes: int = 10,
        channels: int = 3,
        dropout: float = 0.0,
        bias: bool = False,
        stem_stride: int = 1,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise UserError(f"there is no WideResNet of depth {depth}: choose 6 n + 4, such as 10, 16, 22, 28 or 40")
        require_positive(num_classes=num_classes, channels=channels, widen_factor=widen_factor, stem_stride=stem_stride)
        super().__init__(channels)
        self.stem = conv(channels, 16, 3, stem_stride, bias)
        before = 16
        for i in range(3):
            width = 16 * widen_factor * 2**i
            stage = nn.Sequential()
            for j in range((depth - 4) // 6):
                stage.append(PreActBlock(before, width, 2 if i > 0 and j == 0 else 1, dropout, bias))
                before = width
            self.add_module(f"stage{i + 1}", stage)
        self.bn = nn.BatchNorm2d(before)
        self.relu = nn.ReLU()
        self.add_head(before, num_classes, stages=3)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.linear.bias)
