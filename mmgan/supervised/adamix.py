"""AdaMix, or AdaMixUp: input mixup whose lam a network learns (Guo, Mao and Zhang, arXiv 1809.02499).

For a pair of images the *policy region generator* gives an interval [a, a + d] of [0, 1], from which lam is drawn. The
*intrusion discriminator* tells mixed images from real ones. A mixed image that it takes for a real one intrudes on the
data, whose label contradicts the mixed one. All networks are trained on the sum of three losses: the classifier's on
real images, its loss on mixed images, and the discriminator's. So the generator moves lam to where mixed images are
told from real ones and classified well.

The text leaves some choices open. These are as in the released code (SITE5039/AdaMixUp):

* The generator has the classifier's architecture, with 100 outputs and a linear map to three.
* It sees the mean of both images, each pixel weighted by a truncated normal number.
* The discriminator shares the classifier's features, below two linear maps.
* Half of a batch is mixed. One SGD trains all networks.
* lam has its gradient by the mixed image and not by the mixed label: TensorFlow's cross-entropy of that time does not
  differentiate its labels. With the labels' gradient it pays to mix nothing, and the interval shrinks to lam = 0.

The released code averages the classifier's two losses and takes half of the batch as real rows. Here the three losses
are summed, as in the text, and all rows of the batch are real rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmgan.draws import torch_stream
from mmgan.errors import UserError
from mmgan.mixing import Mixed, MixPlan

HIDDEN = 100
"""Outputs of the generator's network before its last linear map."""

DEVIATION = 1e-3
"""Of the initial weights of the generator's and the discriminator's last maps, so that a = d = 1/3 at the start."""

MIXED, REAL = 0, 1
"""The discriminator's classes."""

Loss = Callable[[Tensor, Tensor], Tensor]


class WithFeatures(nn.Module):
    """A classifier that returns its features next to its logits; modules and parameters have the classifier's names.

    Args:
        classifier: has `features(x)` and a last linear map `linear`, as all of `mmgan.classifiers` have.

    Raises:
        UserError: for a network without them.
    """

    classifier: nn.Module

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        if not hasattr(classifier, "features") or not isinstance(getattr(classifier, "linear", None), nn.Linear):
            raise UserError(
                f"AdaMix needs a classifier with features(x) and a last nn.Linear named linear, not a"
                f" {type(classifier).__name__}"
            )
        self._parameters, self._buffers, self._modules = (
            classifier._parameters,
            classifier._buffers,
            classifier._modules,
        )
        self.__dict__["classifier"] = classifier
        self.stages = getattr(classifier, "stages", {})

    def forward(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n f"]]:
        classifier: Any = self.classifier
        h = classifier.features(x)  # (n, f)
        return classifier.linear(h), h

    def train(self, mode: bool = True) -> "WithFeatures":
        self.classifier.train(mode)
        self.training = mode
        return self


class PolicyRegionGenerator(nn.Module):
    """Two images -> the interval [a, a + d] of lam, the weight of the first: (m, c, h, w) twice -> (m,) twice.

    a, d and 1 - a - d are a softmax, so that the interval lies in [0, 1].

    Args:
        body: a network of the classifier's architecture with `HIDDEN` outputs, whose last map is `linear`.
    """

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body, self.linear = body, nn.Linear(HIDDEN, 3)
        _small(body.linear, self.linear)

    def forward(self, x1: Tensor, x2: Tensor, weights: Float[Tensor, "2 m c h w"]) -> tuple[Tensor, Tensor]:
        outputs = self.linear(self.body((weights[0] * x1 + weights[1] * x2) / 2))  # (m, 3)
        low, length, _ = _full(outputs).softmax(1).unbind(1)
        return low, length


class IntrusionDiscriminator(nn.Sequential):
    """The classifier's features -> two logits, of `MIXED` and of `REAL`: (n, f) -> (n, 2)."""

    def __init__(self, features: int, classes: int) -> None:
        maps = nn.Linear(features, classes), nn.Linear(classes, 2)
        super().__init__(*maps)
        _small(*maps)


class Outputs(NamedTuple):
    """What the networks say of b real rows and, after them, m mixed ones."""

    logits: Float[Tensor, "b+m classes"]
    judged: Float[Tensor, "b+m 2"]
    low: Float[Tensor, " m"]
    length: Float[Tensor, " m"]


class AdaMix(nn.Module):
    """The three networks as one module, so that DDP and one optimizer serve all of them.

    Args:
        network: wraps a `WithFeatures`.
        generator: chooses the intervals.
        discriminator: of the network's features.
    """

    def __init__(self, network: Mixed, generator: PolicyRegionGenerator, discriminator: IntrusionDiscriminator) -> None:
        super().__init__()
        self.network, self.generator, self.discriminator = network, generator, discriminator

    def forward(self, x: Float[Tensor, "b c h w"], pairs: MixPlan, weights: Float[Tensor, "2 m c h w"]) -> Outputs:
        """One pass of b real rows and m copies of the first of them, which are mixed with their partners.

        Args:
            x: images in [-1, 1].
            pairs: of `half_pairs`, over b + m rows, with lam ~ U(0, 1).
            weights: of `draw_weights`, with which the generator sees the pairs.
        """
        first = x[: len(pairs)]  # (m, c, h, w)
        low, length = self.generator(first, x.index_select(0, pairs.right), weights)
        logits, features = self.network(torch.cat([x, first]), plan=pairs.with_interval(low, length), mode="replace")
        return Outputs(logits, self.discriminator(features), low, length)

    def members(self) -> dict[str, nn.Module]:
        """The networks by the names of their files."""
        return {
            "classifier": self.network,
            "policy-region-generator": self.generator,
            "intrusion-discriminator": self.discriminator,
        }

    def classify(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The logits alone, of unmixed images."""
        logits: Tensor = self.network(x)[0]
        return logits


def half_pairs(drawn: MixPlan) -> MixPlan:
    """The plan over b + b // 2 rows, the second part a copy of the first b // 2: it mixes the copies with the partners
    that `drawn`, a plan over b rows, gives the originals. lam stays as it was drawn."""
    b = len(drawn)
    m = b // 2
    left = torch.arange(b, b + m, device=drawn.left.device)
    return MixPlan(drawn.layer, left, drawn.right[:m], drawn.lam[:m], parts=(b + m,))


def draw_weights(like: Tensor, seed: int, purpose: str, rank: int, step: int) -> Float[Tensor, "2 m c h w"]:
    """The numbers by which the generator weighs the pixels of m pairs: standard normal, none beyond 2.

    Args:
        like: (m, c, h, w), whose shape, device and layout they get.
        seed, purpose, rank, step: name the draw.
    """
    generator = torch_stream(seed, purpose, rank, step, like.device)
    weights = [torch.empty_like(like) for _ in range(2)]
    for one in weights:
        nn.init.trunc_normal_(one, a=-2.0, b=2.0, generator=generator)
    return torch.stack(weights)


@dataclass(frozen=True)
class AdaMixLosses:
    """The three losses; each is a mean over its rows, and the networks are trained on their sum."""

    real: Float[Tensor, ""]
    mixed: Float[Tensor, ""]
    intrusion: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        return self.real + self.mixed + self.intrusion


def adamix_losses(loss_of: Loss, out: Outputs, pairs: MixPlan, y: Float[Tensor, "b classes"]) -> AdaMixLosses:
    """The losses of one step.

    Args:
        loss_of: of logits and soft labels, the classifier's.
        out: what the networks said.
        pairs: by which they were called.
        y: the labels of the b real rows. The mixed ones are constants: lam has its gradient by the images alone.
    """
    b, m = len(y), len(pairs)
    logits, judged = _full(out.logits), _full(out.judged)
    labels = pairs.with_interval(out.low.detach(), out.length.detach()).mix(torch.cat([y, y[:m]]))  # (m, classes)
    truth = torch.full((b + m,), REAL, device=y.device)
    truth[b:] = MIXED
    return AdaMixLosses(loss_of(logits[:b], y), loss_of(logits[b:], labels), F.cross_entropy(judged, truth))


def adamix_step(
    network: nn.Module, loss_of: Loss, x: Tensor, y: Tensor, drawn: MixPlan, seed: int, rank: int, step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one step, and what metrics note of it: the three losses, the means of a and d, and how real the
    discriminator takes the mixed rows for (the mean probability).

    Args:
        network: an `AdaMix`, as `accelerator.prepare` returned it.
        loss_of: of logits and soft labels.
        x: (b, c, h, w), this process's images.
        y: (b, classes), their labels.
        drawn: the pairs of the b rows, with lam ~ U(0, 1).
        seed, rank, step: name the draws.
    """
    pairs = half_pairs(drawn)
    out: Any = network(x, pairs, draw_weights(x[: len(pairs)], seed, "pair view", rank, step))
    losses = adamix_losses(loss_of, out, pairs, y)
    judged_real = out.judged[len(x) :].detach().float().softmax(1)[:, REAL]  # (m,)
    noted = {"loss_real": losses.real, "loss_mixed": losses.mixed, "loss_intrusion": losses.intrusion}
    noted |= {"policy_a": out.low.mean(), "policy_d": out.length.mean(), "judged_real": judged_real.mean()}
    return losses.total, noted


def _full(values: Tensor) -> Tensor:
    """In float32, if they are of a lower precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _small(*maps: nn.Linear) -> None:
    for one in maps:
        nn.init.normal_(one.weight, std=DEVIATION)
        nn.init.zeros_(one.bias)
