import pytest
import torch
from torch import nn

from mmgan.experiments.framework.costs import SUSTAINED, costs, costs_table, forward_multiply_adds

pytestmark = pytest.mark.slow(6)


def test_multiply_adds_are_those_counted_by_hand():
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Flatten(), nn.Linear(16 * 8 * 8, 10))
    assert forward_multiply_adds(network, 5, 3, 8, 8) == 5 * (64 * 16 * 27 + 1024 * 10)


def test_published_networks_cost_what_is_known_of_them():
    by_name = {(c.experiment, c.what): c for c in costs()}
    # PreActResNet-18 on 32x32: 0.556e9 multiply-adds an image; three times that a training image.
    a = by_name["cifar", "CIFAR-10, PreActResNet-18"]
    assert a.multiply_adds == pytest.approx(0.556e9 * 3 * 45_000 * 1200, rel=0.01)
    assert a.hours == pytest.approx(15 * a.multiply_adds / SUSTAINED / 3600)
    # Wide-ResNet-28-10: 5.2e9.
    assert by_name["cifar", "CIFAR-10, WRN-28-10"].multiply_adds == pytest.approx(5.25e9 * 3 * 45_000 * 400, rel=0.02)


def test_the_table_has_a_line_for_each():
    assert len(costs_table(costs()).splitlines()) == 2 + len(costs())
