"""The laws of lam, and of the boxes of CutMix."""

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from mmgan.draws import numpy_stream
from mmgan.errors import UserError
from mmgan.mixing.rules import Rule

Law = Literal["beta", "uniform", "folded-beta"]


def check_law(law: Law, alpha: float) -> None:
    """Refuse an alpha for which the law of lam is not a distribution on [0, 1].

    Raises:
        UserError: for an unknown law, or an alpha outside its range.
    """
    if law not in get_args(Law):
        raise UserError(f"lam '{law}' is not a law: choose one of {', '.join(get_args(Law))}")
    if law == "uniform" and not 0 < alpha <= 1:
        raise UserError(f"alpha {alpha} is out of range: lam ~ Uniform(0, alpha) needs 0 < alpha <= 1")
    if not (0 < alpha < math.inf):
        raise UserError(f"alpha {alpha} is out of range: lam ~ Beta(alpha, alpha) needs a finite alpha > 0")


def draw_lam(rng: np.random.Generator, law: Law, alpha: float, size: int, per: str) -> npt.NDArray[np.float32]:
    """(size,) values of lam: one for the batch, repeated, or one a row."""
    count = 1 if per == "batch" else size
    if law == "uniform":
        lam = rng.uniform(0.0, alpha, count)
    else:
        lam = rng.beta(alpha, alpha, count)
        if law == "folded-beta":  # the released GAN code keeps lam at or below one half
            lam = np.minimum(lam, 1 - lam)
    return lam.astype(np.float32).repeat(size if per == "batch" else 1)


def draw_box(
    rule: Rule, lam: npt.NDArray[np.float32], seed: int, rank: int, step: int
) -> npt.NDArray[np.float32] | None:
    """Boxes of area lam that lie inside the unit square: (M, 4), or None without boxes."""
    if rule != "cutmix":
        return None
    side = np.sqrt(lam.astype(np.float64))[:, None].repeat(2, axis=1)  # (M, 2)
    corner = numpy_stream(seed, "box", rank, step).uniform(size=side.shape) * (1 - side)
    return np.concatenate([corner, side], axis=1).astype(np.float32)
