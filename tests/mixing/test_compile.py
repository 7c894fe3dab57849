"""torch.compile of the wrapper: fullgraph, equal to eager at every layer, one graph a layer and no more."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, MixPlan, PermutationPolicy, RealFakePolicy
from mmgan.discriminators import build_discriminator
from mmgan.errors import UserError
from mmgan.mixing.verdict import Mode
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


def plans(layers: list[str], mode: Mode, step: int) -> list[MixPlan]:
    if mode != "replace":
        return [RealFakePolicy(layer, alpha=1.0).draw(3, step) for layer in layers]
    return [PermutationPolicy(layer, per="example").draw(6, step) for layer in layers]


def assert_same(net: Mixed, compiled: Callable[..., Tensor], x: Tensor, plan: MixPlan, mode: Mode) -> None:
    wanted, got = net(x, plan=plan, mode=mode), compiled(x, plan=plan, mode=mode)
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(gradients(net.model, x, got), gradients(net.model, x, wanted))


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_one_graph_a_layer_and_equal_to_eager(mode: Mode) -> None:
    torch.manual_seed(0)
    net, x, backend = (
        Mixed(mlp().double(), LAYERS),
        torch.randn(6, 5, dtype=torch.float64, requires_grad=True),
        Counting(),
    )
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    for k, plan in enumerate(plans(LAYERS, mode, step=0), start=1):
        assert_same(net, compiled, x, plan, mode)
        assert backend.graphs == k
    for step in (1, 2):
        for plan in plans(LAYERS, mode, step):
            assert_same(net, compiled, x, plan, mode)
    torch.testing.assert_close(compiled(x), net.model(x))
    assert backend.graphs == len(LAYERS) + 1, "one graph a layer, and one for the plain forward"


def test_mixed_rows_alone_take_one_graph_more() -> None:
    """The number of rows that a plan uses is its own, so from the second plan on it is a symbol of the graphs."""
    torch.manual_seed(0)
    net, backend = Mixed(mlp(), LAYERS), Counting()
    compiled, x = torch.compile(net, fullgraph=True, backend=backend), torch.randn(12, 5, requires_grad=True)
    policy, used = RealFakePolicy(LAYERS, alpha=1.0), set()
    for step in range(24):
        plan = policy.draw(6, step)
        used.add(len(plan.used))  # type: ignore[arg-type]
        assert_same(net, compiled, x, plan, "alone")
    assert len(used) > 2
    assert backend.graphs == len(LAYERS) + 1


@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_through_autograds_tracing(mode: Mode) -> None:
    torch.manual_seed(0)
    net, x = Mixed(mlp(), "2"), torch.randn(6, 5, requires_grad=True)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for step in (0, 1):
        assert_same(net, compiled, x, plans(["2"], mode, step)[0], mode)


def test_our_discriminator() -> None:
    """In evaluation mode: in training mode each forward moves the spectral norms, compiled or not."""
    torch.manual_seed(0)
    net = Mixed(build_discriminator("resnet", 16, channels=1, width=2).eval(), "1,pixel")
    x = torch.randn(6, 1, 16, 16, requires_grad=True)
    compiled = torch.compile(net, fullgraph=True, backend=Counting())
    for plan in plans(["1", "pixel"], "append", step=0):
        assert_same(net, compiled, x, plan, mode="append")


def test_inductor() -> None:
    torch.manual_seed(0)
    net, x = Mixed(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "0"), torch.randn(6, 3, requires_grad=True)
    assert_same(net, torch.compile(net, fullgraph=True), x, RealFakePolicy("0").draw(3), mode="append")


def test_several_plans_compile_once() -> None:
    """The groups come in the order of the layers at every step, or each order would be a graph of its own."""
    net, backend = Mixed(mlp(), "pixel,0,2"), Counting()
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    policy, x = PermutationPolicy("pixel,0,2", layer_per="example"), torch.randn(6, 5)
    net.check(x)
    for step in range(6):
        groups = policy.draw_groups(6, step)
        torch.testing.assert_close(compiled(x, plan=groups), net(x, plan=groups))
    assert backend.graphs == 1


def test_a_compiled_call_needs_the_look_before() -> None:
    x, plan = torch.randn(6, 5), PermutationPolicy("2").draw(6)
    compiled = torch.compile(Mixed(mlp(), "2"), fullgraph=True, backend=Counting())
    with pytest.raises(Exception, match=r"call net\.check\(example\) before torch\.compile, in the same training mode"):
        compiled(x, plan=plan)
    net = Mixed(mlp(), "2")
    net.check(x)
    compiled = torch.compile(net, fullgraph=True, backend=Counting())
    torch.testing.assert_close(compiled(x, plan=plan), net(x, plan=plan))


def test_a_side_input_compiles() -> None:
    """A condition that enters after the layer is mixed with the rows; classes go by `within`."""

    class Conditional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 4), nn.Linear(4 + 2, 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.last(torch.cat([self.first(x).tanh(), y], 1))

    torch.manual_seed(0)
    net, x, y = Mixed(Conditional(), "first,pixel"), torch.randn(6, 5), torch.randn(6, 2)
    net.check(x, y)
    backend = Counting()
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    modes: list[Mode] = ["replace", "append", "alone"]
    for mode in modes:
        for layer in net.layers:
            plan = RealFakePolicy(layer, alpha=1.0).draw(3)
            torch.testing.assert_close(compiled(x, y, plan=plan, mode=mode), net(x, y, plan=plan, mode=mode))
    assert backend.graphs == 6


def test_detach_and_separate_passes_compile() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 5, requires_grad=True)
    for net in (Mixed(mlp(), "2", detach=True), Mixed(mlp(), "2", passes="separate")):
        compiled = torch.compile(net, fullgraph=True, backend=Counting())
        assert_same(net, compiled, x, RealFakePolicy("2").draw(3), mode="append")


def test_wrapping_what_was_compiled_and_has_run_is_refused_rather_than_ignored() -> None:
    compiled, x = torch.compile(mlp(), backend=Counting()), torch.randn(6, 5)
    compiled(x)
    net = Mixed(compiled, "_orig_mod.2")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"did not run in this forward.*wrap the model in Mixed before torch\.compile"):
        net(x, plan=PermutationPolicy("_orig_mod.2").draw(6))
