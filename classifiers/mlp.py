"""The paper's fully connected networks for spirals and MNIST (Figures 1 and 2, Section 3.2, Appendices B and G)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.networks.checks import require_positive, stage_names


class GaussianNoise(nn.Module):
    """Add normal noise of standard deviation `std` in training mode, drawn from torch's global generator."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        return x + self.std * torch.randn_like(x) if self.training and self.std > 0 else x

    def extra_repr(self) -> str:
        return f"std={self.std}"


class MLP(nn.Sequential):
    """A fully connected classifier: linear, batch norm, LeakyReLU and dropout for each width, then a linear layer.

    The paper's networks have widths (1024, 1024, 2, 1024, 1024) with bottleneck 3 (Appendix B), and (1024, 1024, 1024,
    12, 1024, 1024, 1024, 1024) with bottleneck 4 or (1024, 30, ...) with bottleneck 2 (Appendix G). The LeakyReLU has
    torch's default slope of 0.01; the paper states none.

    Args:
        in_features: numbers in one example. Inputs are flattened.
        num_classes: number of logits.
        widths: units of each hidden layer, for at least one layer.
        bottleneck: the layer, counted from 1, that has neither nonlinearity nor dropout.
        dropout: probability, in [0, 1), after each hidden layer except the bottleneck, as in Figure 2.
        batch_norm: normalise every hidden layer including the bottleneck, as in Figure 2.
        input_noise: standard deviation of normal noise added to the input in training mode, in units of the input.

    Attributes:
        stages: {"1": "layer1", "h1": "layer1", ...}: the hidden layers' outputs after nonlinearity and dropout. The
            bottleneck has neither. "features" is the last hidden layer. Each runs once in a forward.
        in_features: numbers in one example that the network was built for.

    Raises:
        UserError: for a setting that does not fit.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        widths: Sequence[int],
        bottleneck: int | None = None,
        dropout: float = 0.0,
        batch_norm: bool = False,
        input_noise: float = 0.0,
    ) -> None:
        if not widths:
            raise UserError("widths is empty: name the units of at least one hidden layer")
        require_positive(in_features=in_features, num_classes=num_classes, narrowest_width=min(widths))
        if bottleneck is not None and not 1 <= bottleneck <= len(widths):
            raise UserError(f"bottleneck {bottleneck} is not a hidden layer: choose 1 to {len(widths)}")
        if input_noise < 0:
            raise UserError(f"input_noise is {input_noise}: a standard deviation is 0 or more")
        super().__init__()
        self.in_features = in_features
        self.flatten = nn.Flatten()  # (n, ...) -> (n, in_features)
        self.noise = GaussianNoise(input_noise)
        before = in_features
        for i, width in enumerate(widths, start=1):
            layer = nn.Sequential(nn.Linear(before, width))
            if batch_norm:
                layer.append(nn.BatchNorm1d(width))
            if i != bottleneck:
                layer.extend([nn.LeakyReLU(), nn.Dropout(dropout)])
            self.add_module(f"layer{i}", layer)
            before = width
        self.linear = nn.Linear(before, num_classes)
        self.stages = stage_names("layer", len(widths)) | {"features": f"layer{len(widths)}"}

    def features(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """Return the output of the last hidden layer.

        Raises:
            UserError: for examples of another size or type than the network was built for.
        """
        if math.prod(x.shape[1:]) != self.in_features or not x.is_floating_point():
            raise UserError(
                f"this classifier was built for float examples of {self.in_features} numbers each,"
                f" but was given {x.dtype} of shape {tuple(x.shape)}"
            )
        h = x
        for layer in list(self)[:-1]:
            h = layer(h)
        return h

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Return the logits of examples (n, ...): images in [-1, 1], or vectors. Raises the errors of `features`."""
        logits: Tensor = self.linear(self.features(x))  # (n, classes)
        return logits
