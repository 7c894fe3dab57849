"""Classifier losses against torch's own, and where torch's own gives up."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmgan import PermutationPolicy
from mmgan.losses import CLASSIFIER_LOSSES, soft_cross_entropy, softmax_bce

EACH = pytest.mark.parametrize("loss", [soft_cross_entropy, softmax_bce])


def soft_targets(n: int, classes: int) -> Tensor:
    onehot = torch.eye(classes, dtype=torch.float64)[torch.arange(n) % classes]
    return PermutationPolicy("1", per="example").draw(n).mix(onehot)


def gradient(value: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("classes", [2, 3, 10, 200])
def test_soft_cross_entropy_is_torchs(classes: int) -> None:
    logits = torch.randn(17, classes, dtype=torch.float64, requires_grad=True)
    target = soft_targets(17, classes)
    got, wanted = soft_cross_entropy(logits, target), F.cross_entropy(logits, target)
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(gradient(got, logits), gradient(wanted, logits))
    hard = torch.arange(17) % classes
    torch.testing.assert_close(
        soft_cross_entropy(logits, F.one_hot(hard, classes).double()), F.cross_entropy(logits, hard)
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 3, 10, 200])
def test_softmax_bce_is_torchs_where_that_is_exact(classes: int, scale: float) -> None:
    torch.manual_seed(classes)
    logits = (scale * torch.randn(17, classes, dtype=torch.float64)).requires_grad_()
    target = soft_targets(17, classes)
    got = softmax_bce(logits, target)
    wanted = torch.nn.BCELoss()(logits.softmax(dim=1), target)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient(got, logits), gradient(wanted, logits), rtol=1e-8, atol=1e-12)
    assert torch.autograd.gradcheck(lambda z: softmax_bce(z, target[:3]), logits.detach()[:3].clone().requires_grad_())


def exact_bce_gradient(row: list[float], target: list[float]) -> list[float]:
    """The gradient of -mean(t log p + (1 - t) log(1 - p)) by hand.

    d log(1 - p_c) / dz is q - p, with q the softmax over the classes other than c: nothing here subtracts p from 1.
    """
    z = torch.tensor(row, dtype=torch.float64)
    p, c = z.softmax(0), len(row)
    total = torch.zeros(c, dtype=torch.float64)
    for k in range(c):
        without = z.clone()
        without[k] = -torch.inf
        total += target[k] * (p - F.one_hot(torch.tensor(k), c)) - (1 - target[k]) * (without.softmax(0) - p)
    return (total / c).tolist()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("row", "target"),
    [
        ([1e4, 0.0, -1e4], [0.0, 1.0, 0.0]),
        ([1e4, 0.0, -1e4], [1.0, 0.0, 0.0]),
        ([60.0, 0.0, 1.0], [0.3, 0.7, 0.0]),
        ([-60.0, -60.0, 60.0], [0.5, 0.5, 0.0]),
        ([5.0, 5.0, 5.0], [1.0, 0.0, 0.0]),
        ([1000.0, 1000.0, 0.0], [0.0, 0.0, 1.0]),
    ],
)
def test_softmax_bce_at_extreme_logits(row: list[float], target: list[float], dtype: torch.dtype) -> None:
    logits = torch.tensor([row], dtype=dtype, requires_grad=True)
    value = softmax_bce(logits, torch.tensor([target], dtype=dtype))
    assert value.isfinite()
    wanted = torch.tensor([exact_bce_gradient(row, target)], dtype=dtype)
    torch.testing.assert_close(gradient(value, logits), wanted)


def test_the_usual_form_loses_its_gradient_where_ours_does_not() -> None:
    """Confident and wrong: torch's clamp leaves less than a third of the gradient in float32."""
    logits = torch.tensor([[60.0, 0.0, 1.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0]])
    usual = gradient(torch.nn.BCELoss()(logits.softmax(dim=1), target), logits).norm()
    assert usual < 0.3 * gradient(softmax_bce(logits, target), logits).norm()


def test_bce_gradient_is_about_one_over_c_minus_one_of_cross_entropys() -> None:
    for classes in (10, 100):
        logits = torch.zeros(1, classes, dtype=torch.float64, requires_grad=True)
        target = F.one_hot(torch.tensor([0]), classes).double()
        ratio = gradient(softmax_bce(logits, target), logits) / gradient(soft_cross_entropy(logits, target), logits)
        torch.testing.assert_close(ratio, torch.full_like(ratio, 1 / (classes - 1)), rtol=1e-9, atol=0)


@EACH
def test_a_mix_of_labels_costs_the_mix_of_their_costs(loss: object) -> None:
    """Both are linear in the target, which is why mixed labels and a mixed pair of losses are one thing."""
    function = CLASSIFIER_LOSSES["ce"] if loss is soft_cross_entropy else CLASSIFIER_LOSSES["bce"]
    logits = torch.randn(5, 4, dtype=torch.float64)
    a, b = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0]], torch.eye(4, dtype=torch.float64)[[2, 2, 1, 3, 1]]
    torch.testing.assert_close(
        function(logits, 0.3 * a + 0.7 * b), 0.3 * function(logits, a) + 0.7 * function(logits, b)
    )


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_class_indices_are_refused_even_where_they_would_broadcast(loss: str) -> None:
    function = inspect.unwrap(CLASSIFIER_LOSSES[loss])  # type: ignore[index]
    with pytest.raises(ValueError, match=r"logits \(3, 3\) need a target of the same shape, not \(3,\)"):
        function(torch.randn(3, 3), torch.arange(3))
