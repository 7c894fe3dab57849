"""torch.compile of the wrapper: fullgraph, equal to eager at every layer, one graph a layer and no more."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.discriminators import build_discriminator
from mmgan.errors import UserError
from tests.support.by_hand import gradients, mlp

pytestmark = pytest.mark.slow(10)

LAYERS = ["pixel", "0", "1", "2", "4"]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Counting:
    """A backend that runs what was traced and counts the graphs."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def plans(layers: list[str], append: bool, step: int) -> list[MixPlan]:
    if append:
        return [RealFakePolicy(layer, alpha=1.0).draw(3, step) for layer in layers]
    return [PermutationPolicy(layer, per="example").draw(6, step) for layer in layers]


def assert_same(net: Mixed, compiled: Callable[..., Tensor], x: Tensor, plan: MixPlan, append: bool) -> None:
    wanted, got = net(x, plan, append=append), compiled(x, plan, append=append)
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(gradients(net.model, x, got), gradients(net.model, x, wanted))


@pytest.mark.parametrize("append", [False, True])
def test_one_graph_a_layer_and_equal_to_eager(append: bool) -> None:
    torch.manual_seed(0)
    net, x, backend = (
        Mixed(mlp().double(), LAYERS),
        torch.randn(6, 5, dtype=torch.float64, requires_grad=True),
        Counting(),
    )
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    for k, plan in enumerate(plans(LAYERS, append, step=0), start=1):
        assert_same(net, compiled, x, plan, append)
        assert backend.graphs == k
    for step in (1, 2):
        for plan in plans(LAYERS, append, step):
            assert_same(net, compiled, x, plan, append)
    torch.testing.assert_close(compiled(x), net.model(x))
    assert backend.graphs == len(LAYERS) + 1, "one graph a layer, and one for the plain forward"


@pytest.mark.parametrize("append", [False, True])
def test_through_autograds_tracing(append: bool) -> None:
    torch.manual_seed(0)
    net, x = Mixed(mlp(), "2"), torch.randn(6, 5, requires_grad=True)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for step in (0, 1):
        assert_same(net, compiled, x, plans(["2"], append, step)[0], append)


def test_our_discriminator() -> None:
    """In evaluation mode: in training mode each forward moves the spectral norms, compiled or not."""
    torch.manual_seed(0)
    net = Mixed(build_discriminator("resnet", 16, channels=1, width=2).eval(), "1,pixel")
    x = torch.randn(6, 1, 16, 16, requires_grad=True)
    compiled = torch.compile(net, fullgraph=True, backend=Counting())
    for plan in plans(["1", "pixel"], True, step=0):
        assert_same(net, compiled, x, plan, append=True)


def test_inductor() -> None:
    torch.manual_seed(0)
    net, x = Mixed(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "0"), torch.randn(6, 3, requires_grad=True)
    assert_same(net, torch.compile(net, fullgraph=True), x, RealFakePolicy("0").draw(3), append=True)


def test_several_plans_compile_once() -> None:
    """The groups come in the order of the layers at every step, or each order would be a graph of its own."""
    net, backend = Mixed(mlp(), "pixel,0,2"), Counting()
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    policy, x = PermutationPolicy("pixel,0,2", layer_per="example"), torch.randn(6, 5)
    for step in range(6):
        groups = policy.draw_groups(6, step)
        torch.testing.assert_close(compiled(x, *groups), net(x, *groups))
    assert backend.graphs == 1


def test_detach_and_separate_passes_compile() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 5, requires_grad=True)
    for net in (Mixed(mlp(), "2", detach=True), Mixed(mlp(), "2", passes="separate")):
        compiled = torch.compile(net, fullgraph=True, backend=Counting())
        assert_same(net, compiled, x, RealFakePolicy("2").draw(3), append=True)


def test_wrapping_what_was_compiled_and_has_run_is_refused_rather_than_ignored() -> None:
    compiled, x = torch.compile(mlp(), backend=Counting()), torch.randn(6, 5)
    compiled(x)
    net = Mixed(compiled, "_orig_mod.2")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"did not run in this forward.*wrap the model in Mixed before torch\.compile"):
        net(x, PermutationPolicy("_orig_mod.2").draw(6))
