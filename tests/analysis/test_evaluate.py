import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from mmgan.analysis.activations import activations
from mmgan.analysis.deformations import TABLE_9, deform
from mmgan.analysis.evaluation import MEASURES, evaluate_classifier, format_table
from mmgan.errors import UserError


def digits() -> tuple[Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.from_numpy(np.round(x * 255 / 16)).to(torch.uint8).reshape(-1, 1, 8, 8), torch.from_numpy(y)


IMAGES, LABELS = digits()
BANK, TEST = (IMAGES[:1200], LABELS[:1200]), (IMAGES[1200:1500], LABELS[1200:1500])


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A small network with BatchNorm and Dropout, trained until it knows most digits."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.LeakyReLU(), nn.Dropout(0.1), nn.Linear(32, 10)
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for i in range(120):
            rows = torch.arange(i * 100, i * 100 + 100) % 1200
            loss = nn.functional.cross_entropy(net(BANK[0][rows] / 127.5 - 1), BANK[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


def layer(net: nn.Module, name: str, x: Tensor) -> Tensor:
    return activations(net, name, [x])


def evaluate(net: nn.Module, images: Tensor = TEST[0], labels: Tensor = TEST[1], **settings: Any) -> dict[str, Any]:
    settings = {"attack_examples": 20, "spectrum_examples": 200} | settings
    return evaluate_classifier(net, images, labels, features={"1": partial(layer, net, "1")}, **settings)


@pytest.fixture(scope="module")
def results(network: nn.Module) -> dict[str, Any]:
    return evaluate(network, bank=BANK, knn_layer="1")


def test_results_are_json_and_come_back_the_same(results):
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert format_table(json.loads(json.dumps(results))) == format_table(results)


def test_the_plain_measures_are_those_of_the_whole_test_set(network, results):
    network.eval()
    logits = network(TEST[0] / 127.5 - 1).detach()
    right = (logits.argmax(1) == TEST[1]).double()
    assert results["examples"] == 300
    assert results["test_error_percent"] == pytest.approx(100 - 100 * float(right.mean()))
    assert results["test_error_percent"] < 20
    assert results["nll"] == pytest.approx(float(nn.functional.cross_entropy(logits, TEST[1])), rel=1e-5)
    assert results["top5_error_percent"] < results["test_error_percent"]
    assert sum(results["reliability"]["count"]) == 300


@pytest.mark.parametrize("measure", MEASURES)
def test_one_measure_alone_is_what_it_is_among_all(network, results, measure):
    key = {"deformations": "deformation_accuracy_percent", "attacks": "adversarial"}.get(measure, measure)
    alone = evaluate(network, bank=BANK, knn_layer="1", measures=[measure])
    assert alone[key] == results[key]
    assert set(results) - set(alone) - {"interpolation"} == {
        *("knn", "deformation_accuracy_percent", "adversarial", "spectra")
    } - {key}
    assert format_table(alone)


def test_the_command_offers_all_measures():
    from mmgan.commands.evaluate import MEASURES as OFFERED

    assert OFFERED == MEASURES


def test_neighbours_use_the_layer_and_the_bank(network, results):
    network.eval()
    bank, test = (network[1](x.flatten(1) / 127.5 - 1).detach().numpy() for x, _ in (BANK, TEST))
    expected = KNeighborsClassifier(5).fit(bank, BANK[1]).score(test, TEST[1])
    assert results["knn"] == {"layer": "1", "k": 5, "bank": 1200, "error_percent": pytest.approx(100 - 100 * expected)}


def test_deformed_accuracy_is_that_of_one_fixed_deformed_test_set(network, results):
    network.eval()
    assert list(results["deformation_accuracy_percent"]) == list(TABLE_9)
    for name in ("rotation-40", "shear-57.3", "zoom-out-120"):
        deformed = deform(TEST[0] / 127.5 - 1, TABLE_9[name], seed=0)
        expected = 100 * float((network(deformed).argmax(1) == TEST[1]).double().mean())
        assert results["deformation_accuracy_percent"][name] == pytest.approx(expected)


def test_attacks_get_stronger_and_the_unbounded_one_leaves_nothing(results):
    fgsm, pgd, unbounded = results["adversarial"]
    assert [a["attack"] for a in results["adversarial"]] == ["fgsm", "pgd", "unbounded-pgd"]
    assert [a["examples"] for a in results["adversarial"]] == [300, 20, 20]
    assert (pgd["epsilon"], pgd["step_size"], pgd["steps"]) == (8 / 255, 2 / 255, 7)
    assert (unbounded["epsilon"], unbounded["step_size"], unbounded["steps"]) == (None, 0.01, 200)
    assert fgsm["accuracy_percent"] < 100 - results["test_error_percent"]
    assert unbounded["accuracy_percent"] == 0


def test_spectra_are_of_the_layer(network, results):
    network.eval()
    spectrum = evaluate(network, spectrum_examples=300, deformations={}, attack_examples=1)["spectra"]["1"]
    h = network[1](TEST[0].flatten(1) / 127.5 - 1).detach().double().numpy()
    overall = np.linalg.svd(h, compute_uv=False)
    np.testing.assert_allclose(spectrum["overall_values"], overall, rtol=1e-5)
    by_class = [np.linalg.svd(h[TEST[1] == c], compute_uv=False) for c in range(10)]
    assert spectrum["class"]["largest"] == pytest.approx(np.mean([v[0] for v in by_class]), rel=1e-5)
    assert spectrum["class"]["rest"] == pytest.approx(np.mean([v[1:].sum() for v in by_class]), rel=1e-5)
    assert (results["spectra"]["1"]["examples"], results["spectra"]["1"]["width"]) == (200, 32)


def test_batch_size_and_pixel_type_change_no_result(network):
    expected = evaluate(network, attack_examples=3)
    assert evaluate(network, attack_examples=3, batch_size=77) == rounded(expected)
    assert evaluate(network, TEST[0] / 127.5 - 1, attack_examples=3) == rounded(expected)


def rounded(value: Any) -> Any:
    """The same value for ==, but for rounding."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(rounded(item) for item in value)
    return pytest.approx(value, rel=1e-4) if isinstance(value, float) else value


def test_the_network_is_left_in_its_mode_without_gradients(network):
    network.train()
    network[4].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.zero_grad()
    evaluate(network, deformations={}, attack_examples=2)
    assert [m.training for m in network] == [True, True, True, True, False, True]
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_table_has_a_line_a_measure(results):
    lines = format_table(results).splitlines()
    assert len(lines) == 5 + 17 + 3 + 4
    assert lines[0].split() == ["test", "error", f"{results['test_error_percent']:.2f}", "%", "300", "images"]
    assert any("epsilon 8/255, 7 x 2/255, 20 images" in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_with_few_classes_there_is_no_top_5(network):
    net = nn.Sequential(network, nn.Linear(10, 3))
    found = evaluate_classifier(
        net, TEST[0], TEST[1] % 3, deformations={}, attack_examples=1, epsilons=()
    )  # no features, no bank
    assert found["top5_error_percent"] is None
    assert found["spectra"] == {}
    assert "knn" not in found
    assert "top-5" not in format_table(found)


def test_bad_arguments_are_refused(network):
    with pytest.raises(UserError, match="both"):
        evaluate(network, bank=BANK)
    with pytest.raises(UserError, match="'2' is not among the features: choose from 1"):
        evaluate(network, bank=BANK, knn_layer="2")
    with pytest.raises(UserError, match="must be 1 or more"):
        evaluate(network, batch_size=0)
    with pytest.raises(UserError, match="epsilon = -1"):
        evaluate(network, epsilons=(-1.0,))
    with pytest.raises(UserError, match="label 11 is outside"):
        evaluate(network, labels=TEST[1] + 2)
    with pytest.raises(UserError, match="must lie in"):
        evaluate(network, TEST[0].float())
