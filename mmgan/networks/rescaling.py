"""Convolutions fused with the change of size beside them: equal to the two steps up to rounding, at half the cost."""

import torch.nn.functional as F
from torch import Tensor, nn


class HalvingConv(nn.Conv2d):
    """A size-keeping 1x1 or 3x3 convolution, then a 2x2 average pooling: (n, c, h, w) -> (n, d, h/2, w/2).

    Both are linear, so 3x3 is computed as one 4x4 convolution of stride 2 whose kernel is the mean of the four places
    that the 3x3 one takes (Karras et al. 2018, arXiv 1710.10196, "fused scale" of the authors' code): 4 multiply-adds a
    channel pair and input pixel instead of 9. A 1x1 is applied after the pooling, at a quarter of its cost.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return F.conv2d(F.avg_pool2d(x, 2), self.weight, self.bias)
        kernel = F.avg_pool2d(self.weight, 2, stride=1, padding=1)  # (d, c, 4, 4)
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)


class DoublingConv(nn.Conv2d):
    """A nearest doubling of the side, then a size-keeping 1x1 or 3x3 convolution: (n, c, h, w) -> (n, d, 2h, 2w).

    As for `HalvingConv`: 3x3 is one 4x4 transposed convolution of stride 2, its kernel the sum of four places; a 1x1 is
    applied before the doubling.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return F.interpolate(F.conv2d(x, self.weight, self.bias), scale_factor=2.0, mode="nearest")
        # A transposed convolution takes its kernel mirrored, input channels first. The exchange of channels comes last,
        # so that pooling meets the layout of the weights: in channels last it is ten times as fast.
        kernel = F.avg_pool2d(self.weight.flip(2, 3), 2, stride=1, padding=1, divisor_override=1)  # (d, c, 4, 4)
        return F.conv_transpose2d(x, kernel.transpose(0, 1), self.bias, stride=2, padding=1)
