"""White-box attacks of Section 5.3 (Table 7) and the sanity check of Appendix D.

Epsilon and step are in pixel units of [0, 1], so that 8/255 is eight grey levels; networks here see [-1, 1], where the
same distance is twice as long. Every adversarial image is clamped to valid images, [0, 1] in pixel units.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mmgan.analysis.input_checks import check_images, check_labels
from mmgan.errors import UserError
from mmgan.modes import evaluation_mode

Predict = Callable[[Tensor], Tensor]

PIXEL_SCALE = 2.0  # one pixel unit of [0, 1] in the units of [-1, 1]


def fgsm(
    predict: Predict, images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"], *, epsilon: float
) -> Float[Tensor, "n c h w"]:
    """Fast Gradient Sign Method (Goodfellow et al. 2015; Table 7): x + epsilon sign(grad_x loss), clamped.

    The paper does not state its epsilon. It compares with Madry et al. 2018, who use 8/255; the authors' released code
    has 0.01 and 0.03 in normalised space, about 0.6/255 and 1.9/255, without a clamp.

    Args:
        predict: classifier, images in [-1, 1] -> logits, that gradients flow through.
        images: (N, C, H, W) in [-1, 1].
        labels: the true classes, (N,).
        epsilon: largest change of a pixel, in pixel units of [0, 1]; 0 changes nothing.

    Returns:
        Adversarial images in [-1, 1]. Those of a row do not depend on the other rows of the batch.

    Raises:
        UserError: if epsilon is negative or not finite, images leave [-1, 1], or `predict` yields no gradient.
    """
    return pgd(predict, images, labels, epsilon=epsilon, step_size=epsilon, steps=1)


def pgd(
    predict: Predict,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    *,
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    steps: int = 7,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n c h w"]:
    """Projected gradient descent in the maximum norm (Madry et al. 2018); the defaults are their 7 steps on CIFAR-10.

    The attack runs against the classifier in evaluation mode, also in adversarial training, so that it changes no
    running statistics. Under DDP pass the wrapped module (`ddp.module`), not the wrapper.

    Args:
        predict: classifier, images in [-1, 1] -> logits, that gradients flow through.
        images: (N, C, H, W) in [-1, 1].
        labels: the true classes, (N,).
        epsilon: largest change of a pixel, in pixel units of [0, 1].
        step_size: change of a pixel in one step, in the same units.
        steps: number of steps, 1 or more.
        generator: if given, the attack starts from a uniform draw within epsilon, clamped, as adversarial training
            does (see `mmgan.draws.torch_stream`; it must be on the images' device). If not, it starts from the image.

    Returns:
        Adversarial images in [-1, 1], within epsilon of `images`.

    Raises:
        UserError: if epsilon or step_size is negative or not finite, steps < 1, images leave [-1, 1], or `predict`
            yields no gradient.
    """
    check_distance("epsilon", epsilon)
    check_images(images)
    start = images
    if generator is not None:
        noise = torch.empty_like(images, memory_format=torch.contiguous_format)
        noise.uniform_(-PIXEL_SCALE * epsilon, PIXEL_SCALE * epsilon, generator=generator)
        start = (images + noise).clamp(-1, 1)
    return _ascend(predict, images, labels, start=start, epsilon=epsilon, step_size=step_size, steps=steps)


def unbounded_pgd(
    predict: Predict,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    *,
    step_size: float = 0.01,
    steps: int = 200,
) -> Float[Tensor, "n c h w"]:
    """The sanity check of Appendix D: 200 steps of 0.01 with no bound, which should leave an accuracy near 0.

    A classifier that survives it has gradients that mislead, not robustness (Athalye et al. 2018). There is no
    projection. The images stay valid: they are clamped to [0, 1], which does not weaken the attack, since 200 x
    0.01 crosses that range twice. The paper does not state its unit; here it is the pixel unit of [0, 1].

    Arguments, result and errors are those of `pgd`.
    """
    return _ascend(predict, images, labels, start=images, epsilon=math.inf, step_size=step_size, steps=steps)


def _ascend(
    predict: Predict, images: Tensor, labels: Tensor, *, start: Tensor, epsilon: float, step_size: float, steps: int
) -> Tensor:
    check_distance("step_size", step_size)
    if steps < 1:
        raise UserError(f"{steps} steps do not attack: choose 1 or more")
    check_images(images)
    check_labels(labels, len(images))
    radius, step = PIXEL_SCALE * epsilon, PIXEL_SCALE * step_size
    with evaluation_mode(predict), torch.inference_mode(False), torch.enable_grad():
        # Copies made here are ordinary tensors, which autograd can save, even if the originals are inference tensors.
        clean, x, y = images.detach().clone(), start.detach().clone(), labels.detach().clone().long()
        for i in range(steps):
            x.requires_grad_()
            logits = predict(x)
            if i == 0:
                check_labels(y, len(images), classes=logits.shape[1])
            # The sum, not the mean: then a row's gradient does not depend on the size of the batch.
            loss = _cross_entropy(logits.float(), y).sum()
            if not loss.requires_grad:
                raise UserError("the classifier lets no gradient through: white-box attacks need one that does")
            (gradient,) = torch.autograd.grad(loss, x)  # of the images alone: nothing accumulates in parameters
            with torch.no_grad():
                x = x + step * gradient.sign()
                x = x.clamp(clean - radius, clean + radius).clamp(-1, 1)
    return x


def _cross_entropy(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """-log softmax(logits)[label], whose gradient keeps its direction where the classifier is very sure.

    In the usual form the label's probability rounds to 1 from a margin of 17 on, in float32: its part of the gradient
    is then 0, and confidence alone would look like robustness.
    """
    label = labels[:, None]  # (n, 1)
    others = logits.scatter(1, label, -math.inf).logsumexp(dim=1)
    return F.softplus(others - logits.gather(1, label).squeeze(1))


def check_distance(name: str, value: float) -> None:
    """Refuse, with a UserError, an epsilon or step that is negative or not finite."""
    if not (value >= 0 and math.isfinite(value)):
        raise UserError(f"{name} = {value} is no distance: choose 0 or more, in pixel units of [0, 1] (8/255 is usual)")
