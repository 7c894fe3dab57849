"""The spirals, what is measured on them, and the quick run."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from mmgan.classifiers import MLP
from mmgan.experiments.framework.hidden import nearest_distances
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.spiral.arms import ARMS, spirals
from mmgan.experiments.spiral.spiral import LAYERS, OFF_DATA, RANGE, measure, run
from mmgan.experiments.spiral.surfaces import after, box_of, confidence, grid_over


def test_spirals_without_noise_lie_on_their_arms() -> None:
    turns = 1.5
    x, labels = spirals(4000, turns, 0.0, seed=3)
    r = x.norm(dim=1)
    assert r.min() >= 0.15 - 1e-6
    assert r.max() <= 1 + 1e-6
    expected = 2 * math.pi * (turns * r + labels / 2)
    difference = torch.atan2(x[:, 1], x[:, 0]) - expected
    assert torch.allclose(torch.cos(difference), torch.ones(len(x)), atol=1e-5)
    assert torch.allclose(torch.sin(difference), torch.zeros(len(x)), atol=1e-3)
    assert labels.bincount().tolist() == [2000, 2000]


def test_spirals_are_uniform_in_the_square_of_the_radius() -> None:
    x, _ = spirals(20000, 1.5, 0.0, seed=0)
    mean = float(x.square().sum(dim=1).mean())
    deviation = (1 - 0.15**2) / math.sqrt(12 * len(x))  # of the mean of a uniform law
    assert abs(mean - (1 + 0.15**2) / 2) < 4 * deviation


def test_noise_has_its_deviation_and_nothing_else_changes() -> None:
    clean, labels = spirals(20000, 1.5, 0.0, seed=1)
    noisy, same = spirals(20000, 1.5, 0.03, seed=1)
    assert torch.equal(labels, same)
    assert torch.allclose((noisy - clean).std(dim=0), torch.full((2,), 0.03), rtol=0.03)


def test_the_draw_is_named_by_seed_and_purpose() -> None:
    x, _ = spirals(50, 1.5, 0.03, seed=1)
    assert torch.equal(x, spirals(50, 1.5, 0.03, seed=1)[0])
    assert not torch.equal(x, spirals(50, 1.5, 0.03, seed=2)[0])
    assert not torch.equal(x, spirals(50, 1.5, 0.03, seed=1, purpose="test spirals")[0])


def test_a_grid_is_of_midpoints_from_below() -> None:
    grid = grid_over(((0.0, 4.0), (10.0, 12.0)), 2)
    assert grid.tolist() == [[1, 10.5], [3, 10.5], [1, 11.5], [3, 11.5]]
    assert box_of(grid) == ((1, 3), (10.5, 11.5))


def test_after_goes_on_from_where_the_hidden_layer_ends() -> None:
    network = MLP(2, 2, (5, 2, 7), bottleneck=2, batch_norm=True).eval()
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    hidden = network.layer2(network.layer1(x))
    assert torch.equal(after(network, "2")(hidden), network(x))


def plain(steepness: float) -> MLP:
    """A network of the experiment's names whose logits differ by steepness * x[0], with x itself at the bottleneck."""
    network = MLP(2, 2, (4, 4, 2, 4, 4), bottleneck=3)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    layers: list[nn.Linear] = [module for module in network.modules() if isinstance(module, nn.Linear)]
    signs = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    with torch.no_grad():
        for index in (0, 3):
            layers[index].weight.copy_(signs)
        for index in (1, 4):
            layers[index].weight.copy_(torch.eye(4))
        # LeakyReLU(x) - LeakyReLU(-x) = 1.01 x, and 1 + 0.01^2 of it after two layers
        layers[2].weight.copy_(signs.T / 1.0001)
        layers[5].weight[1].copy_(steepness * signs[:, 0] / 1.0001)
    return network.eval()


def test_measures_of_a_network_whose_answers_are_known() -> None:
    steepness = 5.0
    network = plain(steepness)
    x = torch.tensor([[-0.8, -0.1], [-0.6, 0.1], [0.6, -0.1], [0.8, 0.1]])
    labels = torch.tensor([0, 0, 1, 1])
    assert torch.allclose(network(x).diff(dim=1)[:, 0], steepness * x[:, 0], rtol=1e-3)
    got = measure(network, x, labels, x[[0, 1, 3]], torch.tensor([0, 0, 0]))
    assert got["test_error"] == pytest.approx(100 / 3)
    # means of sigmoid(5 |x|), over the hidden box [-0.8, 0.8] x [-0.1, 0.1]
    side = torch.linspace(0, 0.8, 100001, dtype=torch.float64)
    assert got["hidden_confidence"] == pytest.approx(100 * float((steepness * side).sigmoid().mean()), abs=0.02)
    sure_from = math.log(0.95 / 0.05) / steepness
    assert got["hidden_sure_share"] == pytest.approx(100 * (1 - sure_from / 0.8), abs=1)
    assert got["margin"] == pytest.approx(0.7, abs=0.02)  # |x| on the average, to the nearest midpoint beyond 0
    # each class: two points (0.2, 0.2) apart, so on a line, 1.4 from the other class's mean
    assert got["relative_spread"] == pytest.approx(math.sqrt(0.02) / 1.4, rel=1e-3)
    assert got["thickness"] == pytest.approx(0, abs=1e-3)
    assert got["rest_share"] == pytest.approx(0, abs=1e-3)
    grid = grid_over(RANGE, 100)
    far = grid[(grid[:, None] - x[None]).norm(dim=2).amin(dim=1) > OFF_DATA]
    expected = 100 * float((steepness * far[:, 0].abs()).sigmoid().mean())
    assert got["confidence_off_data"] == pytest.approx(expected, abs=0.05)


def test_nearest_distances_by_hand() -> None:
    points, others = torch.tensor([[0.0, 0], [3, 4]]), torch.tensor([[0.0, 1], [2, 0]])
    assert nearest_distances(points, others).tolist() == pytest.approx([1, 17**0.5])


def test_confidence_is_the_largest_probability() -> None:
    got = confidence(lambda x: x, torch.tensor([[0.0, 0], [math.log(4), 0], [0, math.log(9)]]))
    assert got.tolist() == pytest.approx([0.5, 0.8, 0.9])


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    folder = tmp_path_factory.mktemp("spiral")
    return run(Place("cpu", True, folder, folder, "", 1, lambda line: None)), folder


@pytest.mark.slow(4)
def test_a_quick_run_measures_every_arm(quick: tuple[Outcome, Path]) -> None:
    outcome, _ = quick
    json.dumps(outcome.values, allow_nan=False)  # finite, and nothing that JSON does not know
    seeds = outcome.values["settings"]["seeds"]
    assert set(outcome.values["measured"]) == set(ARMS)
    for name, runs in outcome.values["measured"].items():
        assert len(runs) == seeds
        assert all(0 <= run["test_error"] <= 100 and 50 <= run["confidence_off_data"] <= 100 for run in runs)
        for layer in LAYERS:  # the drawn spectra are those behind the numbers
            for values, numbers in zip(outcome.values["class_singular_values"][name][layer], runs, strict=True):
                assert values == sorted(values, reverse=True)
                assert sum(values[1:]) == pytest.approx(numbers[f"rest_layer{layer}"], rel=1e-6)
    others = [
        run["hidden_confidence"] for name in ARMS if name != "vanilla" for run in outcome.values["measured"][name]
    ]
    vanilla = [run["hidden_confidence"] for run in outcome.values["measured"]["vanilla"]]
    assert not set(vanilla) & set(others)  # every arm really differs from the plain one
    for finding in outcome.findings:
        assert finding.n == seeds
        assert finding.paper
        assert "nan" not in finding.ours + finding.interval


@pytest.mark.slow(1)
def test_a_quick_run_draws_small_figures(quick: tuple[Outcome, Path]) -> None:
    outcome, folder = quick
    assert outcome.figures == ["spiral-surfaces.png", "spiral-spectra.png"]
    for name in outcome.figures:
        data = (folder / name).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= 150_000
        assert b"Software" not in data
