"""Test error, top-k error and negative log-likelihood (Tables 1 to 3)."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mmgan.analysis.input_checks import check_logits
from mmgan.errors import UserError


def top_k_error_percent(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"], k: int = 5) -> float:
    """Share of rows, in percent, whose label is not among the k largest logits (Table 3 reports 100 minus this, k = 5).

    Of equal logits the lower class counts as the larger, as in argmax: a classifier with the same logit for all classes
    does not get an error of 0.

    Raises:
        UserError: if k is not in 1 .. classes, or for what `check_logits` refuses.
    """
    check_logits(logits, labels)
    if not 1 <= k <= logits.shape[1]:
        raise UserError(f"k = {k} does not fit {logits.shape[1]} classes: choose 1 to {logits.shape[1]}")
    order = logits.argsort(dim=1, descending=True, stable=True)[:, :k]  # (n, k)
    found = (order == labels[:, None]).any(dim=1)
    return 100.0 * (len(labels) - int(found.sum())) / len(labels)


def error_percent(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> float:
    """Test error in percent (Tables 1 and 2): share of rows whose largest logit is not the label's.

    Raises:
        UserError: for what `check_logits` refuses.
    """
    return top_k_error_percent(logits, labels, k=1)


def nll(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> float:
    """Negative log-likelihood (Tables 1 and 2): mean of -log softmax(logits)[label], in nats, summed in float64.

    Raises:
        UserError: for what `check_logits` refuses.
    """
    check_logits(logits, labels)
    return float(F.cross_entropy(logits.double(), labels.long()))
