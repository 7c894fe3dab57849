"""Convolutions that change the size of the image.

`HalvingConv` and `DoublingConv` fuse a convolution with the pooling or upsampling next to it. They equal the two
separate steps up to rounding, at a quarter of their multiply-adds, or at 4/9 (see `multiply_adds_bound`).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class HalvingConv(nn.Conv2d):
    """A size-keeping 1x1 or 3x3 convolution, then a 2x2 average pooling: (n, c, h, w) -> (n, d, h/2, w/2).

    Both steps are linear, so the pooling may come first. The 3x3 convolution then has stride 2 and follows 2x2 means of
    stride 1: 9/4 multiply-adds per channel pair and input pixel instead of 9. Or the means are of the kernel. The two
    steps are then one 4x4 convolution of stride 2 (Karras et al. 2018, arXiv 1710.10196, "fused scale" in the
    authors' code), with 4 multiply-adds. A 1x1 convolution is applied after the pooling, at a quarter of its cost.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        if self.kernel_size == (1, 1):
            return F.conv2d(F.avg_pool2d(x, 2), self.weight, self.bias)
        if multiply_adds_bound(x):
            means = F.avg_pool2d(x, 2, stride=1, padding=1)  # (n, c, h + 1, w + 1)
            return F.conv2d(means, self.weight, self.bias, stride=2)
        kernel = F.avg_pool2d(self.weight, 2, stride=1, padding=1)  # (d, c, 4, 4)
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)


class DoublingConv(nn.Conv2d):
    """A nearest doubling of the side, then a size-keeping 1x1 or 3x3 convolution: (n, c, h, w) -> (n, d, 2h, 2w).

    Doubling writes zeros between the pixels and then takes 2x2 sums of stride 1. As in `HalvingConv`, the sums may be
    taken of the result instead, after a transposed 3x3 convolution of stride 2; or of the kernel, which makes it 4x4. A
    1x1 convolution is applied before the doubling.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        if self.kernel_size == (1, 1):
            return F.interpolate(F.conv2d(x, self.weight, self.bias), scale_factor=2.0, mode="nearest")
        # A transposed convolution takes its kernel mirrored, input channels first. The channels are swapped last, so
        # that pooling sees the layout of the weights: in channels_last it is ten times as fast.
        mirrored = self.weight.flip(2, 3)  # (d, c, 3, 3)
        if multiply_adds_bound(x):
            bias = None if self.bias is None else self.bias / 4  # each sum has it four times
            spread = F.conv_transpose2d(x, mirrored.transpose(0, 1), bias, stride=2)  # (n, d, 2h + 1, 2w + 1)
            return F.avg_pool2d(spread, 2, stride=1, divisor_override=1)
        kernel = F.avg_pool2d(mirrored, 2, stride=1, padding=1, divisor_override=1)  # (d, c, 4, 4)
        return F.conv_transpose2d(x, kernel.transpose(0, 1), self.bias, stride=2, padding=1)


def multiply_adds_bound(x: Tensor) -> bool:
    """Whether a convolution of x takes its time for multiply-adds rather than for memory.

    On a CPU without reduced precision it does: one more pass over the pixels costs less there than the multiply-adds
    that it saves. In reduced precision the pass would also round its result once more.
    """
    return x.device.type == "cpu" and torch.finfo(x.dtype).bits >= 32


class StridedPointwise(nn.Conv2d):
    """A strided 1x1 convolution that selects its positions first.

    (n, c, h, w) -> (n, d, ceil(h/stride), ceil(w/stride)). It equals nn.Conv2d and works around a crash. In oneDNN 3.13
    (torch 2.15 on CPUs) the weight gradient of a strided 1x1 convolution in channels_last writes past its memory. This
    happens with at most 8 channels in and 16 out, at 48x48 and more, and the process dies.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        picked = x[:, :, :: self.stride[0], :: self.stride[1]]  # (n, c, ceil(h/stride), ceil(w/stride))
        return F.conv2d(picked, self.weight, self.bias)
