import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmgan.data import make_images
from mmgan.experiments.factors.rendering import PIXELS, TASKS, AngleTask, RenderedClassifier, draw_examples, turned
from mmgan.mixing import Mixed
from mmgan.mixing.plan import MixPlan


@pytest.fixture
def upright():
    """Blurred random patterns for digits: smooth, so that interpolations agree, and without symmetry."""
    rng = np.random.default_rng(0)
    inside = np.zeros((40, 28, 28))
    inside[:, 8:20, 8:20] = rng.random((40, 12, 12))
    smooth = ndimage.gaussian_filter(inside, (0, 2, 2))
    pixels = torch.from_numpy(np.round(255 * smooth / smooth.max()).astype(np.uint8))[:, None]
    return make_images("mnist", "train", pixels, torch.arange(40) % 10, tuple("0123456789"))


def render(network: RenderedClassifier, factors: torch.Tensor) -> torch.Tensor:
    return network.render(network.angle(factors), factors[:, 1:])


def test_turning_is_scipys_rotation(upright):
    network, factors = RenderedClassifier(4), torch.cat([torch.zeros(5, 1), upright.pixels[:5].flatten(1) / 255], 1)
    for degrees in (-70, -13, 0, 25, 90):
        ours = render(network, turned(factors, degrees))[:, 0]
        theirs = ndimage.rotate(factors[:, 1:].view(-1, 28, 28).numpy(), degrees, axes=(2, 1), reshape=False, order=1)
        # scipy turns counter-clockwise from the first of `axes` to the second, in rows counted downwards
        np.testing.assert_allclose(ours.numpy(), theirs, atol=0.02)


def test_at_no_angle_the_image_is_the_digit(upright):
    factors = torch.cat([torch.zeros(40, 1), upright.pixels.flatten(1) / 255], 1)
    torch.testing.assert_close(render(RenderedClassifier(4), factors).flatten(1), factors[:, 1:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["A", "B"])
def test_the_label_is_the_range_of_the_angle(upright, name):
    task = TASKS[name]
    for ranges in (task.train, task.test):
        factors, labels = draw_examples(upright, task, ranges, 400, seed=1)
        assert factors.shape == (400, 1 + PIXELS)
        degrees = np.degrees(factors[:, 0].numpy())
        for label, (low, high) in enumerate(ranges):
            of = degrees[labels.numpy() == label]
            assert low - 1e-3 <= of.min() < of.max() <= high + 1e-3
            assert 160 < len(of) < 240  # one half of 400, 4 deviations
            assert of.mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / math.sqrt(12 * len(of)))


def test_the_label_is_the_digit(upright):
    factors, labels = draw_examples(upright, TASKS["C"], TASKS["C"].train, 200, seed=1)
    digits = upright.pixels.flatten(1).float() / 255
    shown = torch.cdist(factors[:, 1:], digits).argmin(dim=1) % 10
    assert torch.equal(shown, torch.where(labels == 1, 7, 1))
    assert 0 < labels.float().mean() < 1


def test_draws_are_the_seeds_and_the_splits(upright):
    task = AngleTask(((0.0, 90.0),), ())
    a, b, c = (draw_examples(upright, task, task.train, 30, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_mixing_factors_renders_the_mixed_factors(upright):
    """What Mixed does inside the network, against the network on factors that were mixed by hand."""
    factors, _ = draw_examples(upright, TASKS["A"], TASKS["A"].train, 8, seed=0)
    network = RenderedClassifier(16)
    left, right = torch.arange(8), torch.arange(8).roll(3)
    lam = torch.linspace(0, 1, 8)
    by_hand = lam[:, None] * factors + (1 - lam[:, None]) * factors[right]
    for layer in ("factors", "angle"):
        plan = MixPlan(layer, left, right, lam, parts=(8,))
        expected = by_hand if layer == "factors" else torch.cat([by_hand[:, :1], factors[:, 1:]], 1)
        torch.testing.assert_close(Mixed(network, layer, check=False)(factors, plan=plan), network(expected))


def test_mixing_what_is_rendered_is_input_mixup(upright):
    factors, _ = draw_examples(upright, TASKS["A"], TASKS["A"].train, 6, seed=0)
    network = RenderedClassifier(16)
    plan = MixPlan("render", torch.arange(6), torch.arange(6).roll(1), torch.full((6,), 0.3), parts=(6,))
    expected = network.classifier(plan.mix(render(network, factors)))
    torch.testing.assert_close(Mixed(network, "render")(factors, plan=plan), expected)
