"""A network may give its submodules the names that `Mixed` uses for its own attributes."""

import copy

import pytest
import torch
from torch import Tensor, nn

from mmgan import Mixed, PermutationPolicy


class Named(nn.Module):
    """A network with one hidden layer of the given name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, nn.Linear(3, 5))
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(getattr(self, self.name)(x).relu())


@pytest.mark.parametrize("name", ["layers", "model", "passes", "detach", "batch_dim", "check"])
@pytest.mark.parametrize("mode", ["replace", "append", "alone"])
def test_a_submodule_of_that_name_is_mixed_as_any_other(name: str, mode: str) -> None:
    torch.manual_seed(0)
    model = Named(name)
    net = copy.deepcopy(Mixed(model, name))
    x, plan = torch.randn(4, 3), PermutationPolicy(name).draw(4)
    hidden = getattr(model, name)(x)
    rows = {"replace": plan.mix(hidden), "append": torch.cat([hidden, plan.mix(hidden)]), "alone": plan.mix(hidden)}
    assert torch.allclose(net(x, plan=plan, mode=mode), model.head(rows[mode].relu()), atol=1e-6)
    assert net.layers == (name,)
    assert set(dict(net.named_parameters())) == set(model.state_dict())


def test_it_compiles_with_a_submodule_of_that_name() -> None:
    net = Mixed(Named("layers"), "layers")
    x, plan = torch.randn(4, 3), PermutationPolicy("layers").draw(4)
    plain = net(x, plan=plan)
    assert torch.allclose(torch.compile(net, backend="eager", fullgraph=True)(x, plan=plan), plain, atol=1e-6)
