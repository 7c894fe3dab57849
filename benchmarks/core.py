"""What the mixing core costs on any network: the look, mixed rows alone or along, and side inputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.arithmetic import multiply_adds, times
from benchmarks.rows import Row, row_of
from benchmarks.setup import LAYERS, Gan
from benchmarks.timing import alternate
from mmgan import GAN_LOSSES, Mixed, MixPlan, MixupTerm, RealFakePolicy, discriminator_losses

CLASSES = 10


class Projection(nn.Module):
    """An SN-ResNet discriminator with a projection of the class (Miyato and Koyama 2018)."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body = body
        self.embed = spectral_norm(nn.Embedding(CLASSES, width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = x
        for name, stage in self.body.named_children():
            if name != "linear":
                h = stage(h)
        logits: Tensor = self.body.linear(h).squeeze(1) + (self.embed(y) * h).sum(1)  # (n,)
        return logits


class Counted(nn.Module):
    """A discriminator that counts its rows before its first layer, so that mixed rows travel along from the input."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits.view(len(x))


def measure(device: str, quick: bool) -> list[Row]:
    gan = Gan(device, batch_size=4, d_width=16) if quick else Gan(device, batch_size=16)
    repetitions = 3 if quick else 15
    x = torch.randn(2 * gan.batch_size, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    return [
        _look(gan, x, repetitions),
        *(_alone(gan, x, layer, repetitions) for layer in ("pixel", "1", "2")),
        *(_term(gan, x, layer, repetitions) for layer in ("pixel", "1")),
        _along(gan, x, repetitions),
        _projection(gan, x, repetitions),
    ]


def _look(gan: Gan, x: Tensor, repetitions: int) -> Row:
    model = gan.networks()[1]
    net, plan = Mixed(model, LAYERS), RealFakePolicy("1").draw(gan.batch_size, device=gan.device)
    calls = {
        "look": lambda: Mixed(model, LAYERS).check(x),
        "step": lambda: _backward(
            model, discriminator_losses(GAN_LOSSES["jsgan"], *plan.split(net(x, plan=plan, mode="append")), plan).total
        ),
    }
    arithmetic = multiply_adds(calls["look"], warmup=0) / multiply_adds(calls["step"])
    timings = alternate(calls, max(3, repetitions // 3), gan.device)
    return row_of(
        f"look at layers {LAYERS} before the first mix, in steps of D, SN-ResNet {gan.d_width} wide, batch"
        f" {gan.batch_size}",
        timings.ratio("look", "step"),
        "steps",
        at_most=12,
        arithmetic=times(arithmetic),
        detail={"seconds": timings.seconds("look").value, "cpu": timings.cpu_ratio("look", "step").value},
    )


def _alone(gan: Gan, x: Tensor, layer: str, repetitions: int) -> Row:
    """The pass of the mixed rows alone over the plain pass, against the same ratio of multiply-adds."""
    net = Mixed(gan.networks()[1], layer)
    plan = RealFakePolicy(layer).draw(gan.batch_size, device=gan.device)
    net.check(x)
    passes: dict[str, Callable[[], Tensor]] = {
        "alone": lambda: net(x, plan=plan, mode="alone"),
        "plain": lambda: net(x),
    }
    counted = {name: multiply_adds(_without_gradients(run)) for name, run in passes.items()}
    calls = {name: (lambda run=run: _backward(net, run().sum())) for name, run in passes.items()}
    timings = alternate(calls, repetitions, gan.device, warmup=2)
    share = counted["alone"] / counted["plain"]
    return row_of(
        f"mixed rows alone at {layer}: time over its arithmetic, SN-ResNet {gan.d_width} wide, batch {gan.batch_size}",
        timings.ratio("alone", "plain"),
        "x",
        scale=1 / share,
        at_most=1.08,
        arithmetic=times(1),
        detail={"arithmetic": share, "cpu": timings.cpu_ratio("alone", "plain").value / share},
    )


def _term(gan: Gan, x: Tensor, layer: str, repetitions: int) -> Row:
    """A loop of somebody's own, one forward for all rows, with the term against without it."""
    net = Mixed(gan.networks()[1], layer)
    term, loss = MixupTerm(net, RealFakePolicy(layer), "jsgan"), GAN_LOSSES["jsgan"]
    none = RealFakePolicy("none").draw(gan.batch_size, device=gan.device)

    def own() -> Tensor:
        return discriminator_losses(loss, *none.split(net(x)), none).total

    calls = {
        "with": lambda: _backward(net, own() + term(*x.chunk(2), step=0)),
        "without": lambda: _backward(net, own()),
    }
    arithmetic = multiply_adds(calls["with"]) / multiply_adds(calls["without"])
    timings = alternate(calls, repetitions, gan.device)
    return row_of(
        f"loss and backward of D with MixupTerm at {layer} / without, SN-ResNet {gan.d_width} wide, batch"
        f" {gan.batch_size}",
        timings.ratio("with", "without"),
        "x",
        at_most=round(1.08 * arithmetic, 2),
        arithmetic=times(arithmetic),
        detail={"multiply-adds": arithmetic, "cpu": timings.cpu_ratio("with", "without").value},
    )


def _along(gan: Gan, x: Tensor, repetitions: int) -> Row:
    """Append at 1 where mixed rows must be copies from the input on, which costs what mixing pixels costs."""
    net = Mixed(Counted(gan.networks()[1]), "body.block1")
    plan = RealFakePolicy("body.block1").draw(gan.batch_size, device=gan.device)
    calls: dict[str, Callable[[], Any]] = {
        "along": lambda: _backward(net, net(x, plan=plan, mode="append").sum()),
        "plain": lambda: _backward(net, net(x).sum()),
    }
    arithmetic = multiply_adds(calls["along"]) / multiply_adds(calls["plain"])
    timings = alternate(calls, repetitions, gan.device)
    return row_of(
        f"append at 1 along from the input / a plain pass, D that counts its rows, SN-ResNet {gan.d_width} wide, batch"
        f" {gan.batch_size}",
        timings.ratio("along", "plain"),
        "x",
        at_most=round(1.05 * arithmetic, 2),
        arithmetic=times(arithmetic),
        detail={"multiply-adds": arithmetic, "cpu": timings.cpu_ratio("along", "plain").value},
    )


def _projection(gan: Gan, x: Tensor, repetitions: int) -> Row:
    body = gan.networks()[1]
    y = torch.arange(len(x), device=gan.device) % CLASSES
    plain, conditional = Mixed(body, "1"), Mixed(Projection(body, gan.d_width).to(gan.device), "body.block1")
    policies = {"1": RealFakePolicy("1"), "body.block1": RealFakePolicy("body.block1")}
    plans: dict[str, MixPlan] = {
        "plain": policies["1"].draw(gan.batch_size, device=gan.device),
        "conditional": policies["body.block1"].draw(gan.batch_size, device=gan.device, within=y),
    }
    calls: dict[str, Callable[[], Any]] = {
        "conditional": lambda: _backward(
            conditional, conditional(x, y, plan=plans["conditional"], mode="append").sum()
        ),
        "plain": lambda: _backward(plain, plain(x, plan=plans["plain"], mode="append").sum()),
    }
    arithmetic = multiply_adds(calls["conditional"]) / multiply_adds(calls["plain"])
    timings = alternate(calls, repetitions, gan.device)
    return row_of(
        f"append at 1 with a projected class / without, SN-ResNet {gan.d_width} wide, batch {gan.batch_size}",
        timings.ratio("conditional", "plain"),
        "x",
        at_most=1.03,
        arithmetic=times(arithmetic),
        detail={"cpu": timings.cpu_ratio("conditional", "plain").value},
    )


def _backward(net: nn.Module, loss: Tensor) -> None:
    net.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]


def _without_gradients(run: Callable[[], object]) -> Callable[[], object]:
    def call() -> object:
        with torch.no_grad():
            return run()

    return call
