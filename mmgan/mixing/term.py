"""One more term for a discriminator's loss, in anybody's loop."""

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from mmgan.errors import UserError
from mmgan.losses import GAN_LOSSES, GANLoss, GANLossName, consistency_loss, mixed_loss
from mmgan.mixing.mixed import Mixed
from mmgan.mixing.policies import PermutationPolicy, RealFakePolicy
from mmgan.nests import leaves, map_nest

Target = Literal["paper", "fake", "consistency"]


class MixupTerm(nn.Module):
    """The mixed rows' loss of Equation 6 as a term of its own, for a loop that calls its discriminator as it likes.

        net = Mixed(discriminator, "pixel,block1,block2")
        term = MixupTerm(net, RealFakePolicy("pixel,block1,block2"), loss="hinge")
        loss_d = loss_d + term(real, fake, step=step)

    It costs one more pass: the rows that the plan uses up to the mixed layer, and the mixed rows after it. The mixed
    rows are a batch of their own, so it serves networks with BatchNorm or minibatch statistics too.

    Args:
        net: what the loop calls: a `Mixed`, or DDP or `torch.compile` around it. The term does not own it.
        policy: draws the pairs; its layers are those of `net`.
        loss: what the logits cost: a name ("jsgan", "hinge", "least-squares", "wasserstein", "jsgan-saturating") or a
            `GANLoss`.
        target: "paper", the label y(lam; x1, x2) of Appendix E; "fake", label 0 for every mixed row, as the released
            code has it; "consistency", the same mix of the two rows' own outputs, which are passed as `logits=`, with
            a squared error. It is the one for relativistic losses, in which a mixed row has no label.
        weight: of the term.
        within: name of the side input that holds the rows' classes: pairs stay within them.
        pack: rows that the network joins to one.
        seed: of the draws.
        rank: of this process; None: that of `torch.distributed`, or of the RANK that the launcher set.

    Raises:
        UserError: for a loss or target that does not exist, or a policy of single batches.
    """

    net: nn.Module

    def __init__(
        self,
        net: nn.Module,
        policy: RealFakePolicy,
        loss: GANLossName | GANLoss = "jsgan",
        target: Target = "paper",
        weight: float = 1.0,
        *,
        within: str | None = None,
        pack: int = 1,
        seed: int = 0,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(loss, str) and loss not in GAN_LOSSES:
            raise UserError(f"loss '{loss}' is unknown: choose one of {', '.join(GAN_LOSSES)}, or pass a GANLoss")
        if target not in get_args(Target):
            raise UserError(f"target '{target}' is unknown: choose one of {', '.join(get_args(Target))}")
        if isinstance(policy, PermutationPolicy):
            raise UserError("MixupTerm mixes real rows with fake rows: it takes a RealFakePolicy")
        self.__dict__["net"] = net  # not a submodule: its parameters are the loop's
        self.policy, self.target, self.weight, self.within, self.pack = policy, target, weight, within, pack
        self.loss = GAN_LOSSES[loss] if isinstance(loss, str) else loss
        self.seed, self.rank = seed, rank

    def forward(self, real: Tensor, fake: Tensor, *, step: int, logits: Any = None, **inputs: Any) -> Tensor:
        """The term of one step, a scalar in float32 (float64 for a network in float64).

        Args:
            real: (b, ...) real rows.
            fake: (b, ...) fake rows; detach them as for the rest of the discriminator's step.
            step: names the draw, with the seed and the rank.
            logits: for target "consistency": what the network returned for the real and the fake rows in this step, as
                (real, fake) or joined, real rows first. Do not detach them: their gradients keep the level of the
                logits from running away.
            inputs: side inputs by keyword. Per-row ones hold 2b rows, or b rows that serve real and fake rows alike.

        Raises:
            UserError: for rows that do not fit, or logits that are missing or not asked for.
        """
        if real.shape != fake.shape:
            raise UserError(f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have one shape")
        if (self.target == "consistency") != (logits is not None):
            raise UserError(
                "target='consistency' compares with the step's own outputs: pass logits=(net(real), net(fake))"
                if logits is None
                else f"logits= is for target='consistency', not for '{self.target}': leave it out"
            )
        dim = _mixed_of(self.net).batch_dim
        b = real.shape[dim]
        x = torch.cat([real, fake.to(real.dtype)], dim)  # (2b, ...)
        inputs = {name: self._for_both(name, value, b) for name, value in inputs.items()}
        within = None
        if self.within is not None:
            if self.within not in inputs:
                raise UserError(f"within='{self.within}' names no side input of this call: pass {self.within}=classes")
            within = inputs[self.within]
        rank = _own_rank() if self.rank is None else self.rank
        plan = self.policy.draw(b, step, self.seed, rank, real.device, within=within, pack=self.pack)
        if len(plan) == 0:
            return x.new_zeros((), dtype=torch.float32)
        mixed = self.net(x, plan=plan, mode="alone", **inputs)  # (M, ...)
        if self.target == "consistency":
            return self.weight * consistency_loss(mixed, _joined(logits), plan)
        return self.weight * mixed_loss(self.loss, mixed, plan, self.target)

    def _for_both(self, name: str, value: Any, b: int) -> Any:
        """A side input for 2b rows: one of b rows serves the real and the fake rows."""
        mixed = _mixed_of(self.net)

        def double(inside: str, leaf: Tensor) -> Tensor:
            dims = [d for d in dict.fromkeys((mixed.batch_dim, 0)) if leaf.dim() > d and leaf.shape[d] == b]
            if not dims or mixed.kind_of(name, name + inside) == "shared":
                return leaf
            return torch.cat([leaf, leaf], dims[0])  # (2b, ...)

        return map_nest(double, value)


def _own_rank() -> int:
    """Of this process, as the process group says, or the launcher where there is no group yet."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", 0))


def _mixed_of(net: nn.Module) -> Mixed:
    """The `Mixed` inside DDP or torch.compile."""
    while not isinstance(net, Mixed):
        inner = getattr(net, "module", None) or getattr(net, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            raise UserError(f"MixupTerm takes a Mixed, or DDP or torch.compile around one, not {type(net).__name__}")
        net = inner
    return net


def _joined(logits: Any) -> Any:
    """Outputs of real and fake rows in one nest, real rows first."""
    if not (isinstance(logits, tuple) and len(logits) == 2):
        return logits
    real, fake = logits
    others: Mapping[str, Tensor] = dict(leaves(fake))
    if list(others) != [path for path, _ in leaves(real)]:
        raise UserError(
            "logits= takes what the network returned for the real and for the fake rows, (real, fake), two nests of one"
            " structure; or what it returned for both in one forward, as a tensor, list or dict"
        )
    return map_nest(lambda path, leaf: torch.cat([leaf, others[path]]), real)
