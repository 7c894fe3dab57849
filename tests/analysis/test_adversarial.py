import copy
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from mmgan.analysis.adversarial import fgsm, pgd, unbounded_pgd
from mmgan.draws import torch_stream
from mmgan.errors import UserError

Attack = Callable[..., Tensor]
ATTACKS: dict[str, Attack] = {
    "fgsm": partial(fgsm, epsilon=0.1),
    "pgd": partial(pgd, epsilon=0.1, step_size=0.03, steps=5),
    "unbounded": partial(unbounded_pgd, steps=5),
}
attacks = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def drawn(n: int = 8, reach: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = (2 * torch.rand(n, 2, 4, 4, generator=generator) - 1) * reach
    return images, torch.randint(0, 2, (n,), generator=generator)


class Linear(nn.Module):
    """Two classes, no bias: the loss rises along the difference of the weights, whatever the image."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(2, 32, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w.T

    def ascent(self, labels: Tensor) -> Tensor:
        return (self.w[1 - labels] - self.w[labels]).detach().sign().reshape(-1, 2, 4, 4)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(16, 3))


def test_fgsm_moves_every_pixel_by_epsilon_of_the_unit_range():
    images, labels = drawn(reach=0.5)
    net = Linear()
    # 0.1 of [0, 1] is 0.2 of [-1, 1].
    torch.testing.assert_close(fgsm(net, images, labels, epsilon=0.1), images + 0.2 * net.ascent(labels))


def test_epsilon_is_counted_in_grey_levels():
    levels = torch.full((1, 2, 4, 4), 100.0)
    moved = fgsm(Linear(), levels / 127.5 - 1, torch.tensor([0]), epsilon=8 / 255)
    assert set(((moved + 1) * 127.5).round().unique().tolist()) == {92, 108}


def test_pgd_on_a_linear_classifier_goes_to_the_edge_of_its_box():
    images, labels = drawn(reach=0.5)
    net = Linear()
    for steps, distance in ((1, 0.03), (3, 0.09), (4, 0.1), (9, 0.1)):
        found = pgd(net, images, labels, epsilon=0.1, step_size=0.03, steps=steps)
        torch.testing.assert_close(found, images + 2 * distance * net.ascent(labels))


def test_pgd_comes_back_into_its_box_after_every_step():
    # The loss is highest at 0.01, inside the box of 0.02, and each step of 0.04 overshoots it: back and forth between
    # the sides of the box. A walk that is projected only in the end would stop at 0.
    def classify(x: Tensor) -> Tensor:
        height = -(x.mean(dim=(1, 2, 3)) - 0.01).abs()
        return torch.stack([-height, torch.zeros_like(height)], dim=1)

    found = pgd(classify, torch.zeros(1, 1, 1, 1), torch.tensor([0]), epsilon=0.01, step_size=0.02, steps=4)
    assert float(found) == pytest.approx(-0.02)


def test_unbounded_pgd_crosses_the_whole_range_and_stays_valid():
    images, labels = drawn()
    net = Linear()
    found = unbounded_pgd(net, images, labels)
    torch.testing.assert_close(found, net.ascent(labels))  # every pixel at its worst end, -1 or 1
    assert bool((net(found).argmax(1) != labels).all())


def test_unbounded_pgd_takes_steps_of_a_hundredth():
    images, labels = drawn(reach=0.5)
    net = Linear()
    found = unbounded_pgd(net, images, labels, steps=3)
    torch.testing.assert_close(found, images + 3 * 0.02 * net.ascent(labels))


@attacks
def test_results_are_valid_images_near_the_originals(network, attack):
    images, labels = drawn()
    found = attack(network, images, labels)
    assert found.shape == images.shape
    assert not found.requires_grad
    assert float(found.abs().max()) <= 1
    assert 0.01 < float((found - images).abs().max()) <= 0.2 + 1e-6


@attacks
def test_the_network_is_left_as_it_was(network, attack):
    network.train()
    network[1].eval()  # somebody froze it
    network[5].weight.grad = torch.ones(3, 16)
    before = copy.deepcopy(network.state_dict())
    attack(network, *drawn())
    assert [m.training for m in network] == [True, False, True, True, True, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network[5].weight.grad, torch.ones(3, 16))
    assert all(p.grad is None for p in network[:5].parameters())


@attacks
def test_a_training_network_is_attacked_as_it_is_evaluated(network, attack):
    images, labels = drawn()
    evaluated = attack(network.eval(), images, labels)
    assert torch.equal(attack(network.train(), images, labels), evaluated)


@attacks
def test_the_size_of_the_batch_does_not_matter(network, attack):
    images, labels = drawn()
    rows = [attack(network, images[i : i + 1], labels[i : i + 1]) for i in range(8)]
    # The gradient's sign, so a rounding error would show as a whole step.
    torch.testing.assert_close(torch.cat(rows), attack(network, images, labels))


@attacks
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(network, attack, mode):
    expected = attack(network, *drawn())
    with mode():
        assert torch.equal(attack(network, *drawn()), expected)


def test_a_confident_classifier_still_has_a_gradient():
    images, labels = drawn(reach=0.5)
    net = Linear()
    labels = net(images).argmax(1)  # right, so that the loss is small
    net.w.data *= 10
    margins = net(images).gather(1, labels[:, None]) - net(images).gather(1, 1 - labels[:, None])
    assert 17 < float(margins.max().detach()) < 80  # float32 has no 1 - exp(-17)
    torch.testing.assert_close(fgsm(net, images, labels, epsilon=0.1), images + 0.2 * net.ascent(labels))


def test_fgsm_follows_the_gradient_of_the_cross_entropy(network):
    images, labels = drawn(reach=0.5)
    network.eval().double()
    x = images.double().requires_grad_()
    nn.CrossEntropyLoss()(network(x), labels).backward()
    expected = images + 0.2 * x.grad.sign()
    torch.testing.assert_close(fgsm(network, images.double(), labels, epsilon=0.1), expected)


def test_epsilon_zero_changes_nothing(network):
    images, labels = drawn()
    assert torch.equal(fgsm(network, images, labels, epsilon=0), images)
    assert torch.equal(pgd(network, images, labels, epsilon=0), images)


def test_a_random_start_is_drawn_by_seed_in_the_box(network):
    images, labels = drawn(reach=0.5)
    still = partial(pgd, network, images, labels, epsilon=0.1, step_size=0, steps=1)
    one = still(generator=torch_stream(3, "pgd"))
    assert torch.equal(still(), images)
    assert torch.equal(one, still(generator=torch_stream(3, "pgd")))
    assert not torch.equal(one, still(generator=torch_stream(4, "pgd")))
    moved = (one - images).flatten()
    assert float(moved.abs().max()) <= 0.2
    # Uniform on [-0.2, 0.2]: 256 draws, a standard error of 0.0036 for the mean of |x|, which is 0.1.
    assert float(moved.abs().mean()) == pytest.approx(0.1, abs=0.015)


def test_a_random_start_leaves_the_global_stream_alone(network):
    state = torch.get_rng_state()
    pgd(network, *drawn(), generator=torch_stream(0, "pgd"))
    assert torch.equal(torch.get_rng_state(), state)


def test_more_steps_hurt_more(network):
    images, labels = drawn()
    loss = nn.CrossEntropyLoss()
    network.eval()
    clean, one, many = (
        float(loss(network(x).detach(), labels))
        for x in (images, fgsm(network, images, labels, epsilon=0.2), unbounded_pgd(network, images, labels))
    )
    assert clean < one < many


@pytest.mark.parametrize("epsilon", [-0.1, math.nan, math.inf])
def test_an_epsilon_that_is_no_distance_is_refused(network, epsilon):
    with pytest.raises(UserError, match=r"epsilon = .* is no distance"):
        fgsm(network, *drawn(), epsilon=epsilon)
    with pytest.raises(UserError, match=r"epsilon = .* is no distance"):
        pgd(network, *drawn(), epsilon=epsilon)


def test_other_bad_arguments_are_refused(network):
    images, labels = drawn()
    for attack in (pgd, unbounded_pgd):
        with pytest.raises(UserError, match="step_size = -1"):
            attack(network, images, labels, step_size=-1)
        with pytest.raises(UserError, match="0 steps"):
            attack(network, images, labels, steps=0)
    with pytest.raises(UserError, match="must lie in"):
        fgsm(network, 2 * images, labels, epsilon=0.1)
    with pytest.raises(UserError, match="label 5 is outside"):
        fgsm(network, images, labels + 4, epsilon=0.1)
    with pytest.raises(UserError, match="lets no gradient through"):
        fgsm(lambda x: network(x).detach(), images, labels, epsilon=0.1)
