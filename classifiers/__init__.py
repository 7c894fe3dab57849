"""Classifiers: PreActResNets, Wide ResNets and fully connected networks. They do not know about mixing."""

from collections.abc import Sequence
from typing import Literal

from mmgan.classifiers.mlp import MLP
from mmgan.classifiers.preact import PreActResNet
from mmgan.classifiers.wide import WideResNet
from mmgan.errors import UserError
from mmgan.networks.checks import require_one_of

__all__ = ["MLP", "PreActResNet", "WideResNet", "build_classifier"]


def build_classifier(
    arch: Literal["preactresnet", "wideresnet", "mlp"],
    num_classes: int,
    channels: int,
    image_size: int,
    *,
    depth: int | None = None,
    width: int | None = None,
    widen_factor: int | None = None,
    widths: Sequence[int] | None = None,
    bottleneck: int | None = None,
    dropout: float = 0.0,
    batch_norm: bool = False,
    input_noise: float = 0.0,
    bias: bool = False,
    stem_stride: int = 1,
) -> PreActResNet | WideResNet | MLP:
    """Build the classifier of this architecture for images (n, channels, image_size, image_size) in [-1, 1].

    An argument that is left out has the class's own default. "preactresnet" takes depth (18), width (64), dropout and
    stem_stride. "wideresnet" takes depth (28), widen_factor (10), dropout, bias and stem_stride. "mlp" takes widths
    (required), bottleneck, dropout, batch_norm and input_noise. See `PreActResNet`, `WideResNet` and `MLP`.

    Raises:
        UserError: for an unknown arch, a setting that the arch does not take, or a value that does not fit.
    """
    require_one_of("the classifier", arch, ["preactresnet", "wideresnet", "mlp"])
    if image_size < 8:
        raise UserError(f"image_size is {image_size}: a classifier needs at least 8 pixels")
    given = {
        "depth": depth is not None,
        "width": width is not None,
        "widen_factor": widen_factor is not None,
        "widths": widths is not None,
        "bottleneck": bottleneck is not None,
        "batch_norm": batch_norm,
        "input_noise": input_noise != 0,
        "bias": bias,
        "stem_stride": stem_stride != 1,
    }
    if arch == "preactresnet":
        _refuse_others(arch, given, {"depth", "width", "stem_stride"})
        depth, width = 18 if depth is None else depth, 64 if width is None else width
        return PreActResNet(depth, num_classes, channels, width, dropout, stem_stride)
    if arch == "wideresnet":
        _refuse_others(arch, given, {"depth", "widen_factor", "bias", "stem_stride"})
        depth, widen_factor = 28 if depth is None else depth, 10 if widen_factor is None else widen_factor
        return WideResNet(depth, widen_factor, num_classes, channels, dropout, bias, stem_stride)
    _refuse_others(arch, given, {"widths", "bottleneck", "batch_norm", "input_noise"})
    return MLP(channels * image_size**2, num_classes, widths or (), bottleneck, dropout, batch_norm, input_noise)


def _refuse_others(arch: str, given: dict[str, bool], known: set[str]) -> None:
    for name, is_given in given.items():
        if is_given and name not in known:
            raise UserError(
                f"{name} is not a setting of {arch}, which takes dropout, {', '.join(sorted(known))};"
                " leave it out (null)"
            )
