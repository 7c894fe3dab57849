import pytest
import torch
from torch import Tensor, nn

from mmgan.analysis.activations import activations
from mmgan.errors import UserError


class Net(nn.Module):
    stages = {"1": "first", "h1": "first"}

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.act = nn.ReLU(inplace=True)
        self.rest = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        self.pair = nn.LSTM(4, 5, batch_first=True)
        self.turn = nn.Flatten(0)
        self.unused = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.norm(self.first(x)))
        self.turn(h)
        self.pair(h[:, None])
        h = self.rest[0](self.rest[0](h))
        out: Tensor = self.rest[1](h)
        return out


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    net = Net()
    net.norm.running_mean = torch.randn(4)
    return net


X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", ["1", "h1", "first"])
def test_aliases_and_names_give_the_layers_output(net, layer):
    torch.testing.assert_close(activations(net, layer, [X]), net.first(X).detach())


def test_batches_are_joined_in_order(net):
    for layer in ("norm", "rest.1", "pixel"):
        torch.testing.assert_close(activations(net, layer, X.split(3)), activations(net, layer, [X]))
    assert torch.equal(activations(net, "pixel", X.split(3)), X)


def test_a_later_layer_in_place_does_not_reach_it(net):
    net.eval()
    normed = net.norm(net.first(X)).detach()
    assert float(normed.min()) < 0
    torch.testing.assert_close(activations(net, "norm", [X]), normed)


def test_the_first_of_a_tuple_is_taken(net):
    assert activations(net, "pair", [X]).shape == (7, 1, 5)


def test_the_network_is_left_as_it_was(net):
    net.train()
    net.rest.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert not activations(net, "norm", X.split(3)).requires_grad
    with pytest.raises(UserError):
        activations(net, "unused", [X])
    assert net.norm.training
    assert not net.rest[0].training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        ("frist", "nearest names are .*'first'"),
        ("", "is not in this network"),
        ("unused", "ran 0 times"),
        ("rest.0", "ran 2 times"),
        ("turn", "yields shape"),
    ],
)
def test_a_layer_that_does_not_serve_is_refused(net, layer, what):
    with pytest.raises(UserError, match=what):
        activations(net, layer, [X])


def test_no_batches_are_refused(net):
    with pytest.raises(UserError, match="no batch was given"):
        activations(net, "first", [])
