"""The mixing coefficients of a run, drawn again: a plan is a pure function of seed, process and step."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mmgan.mixing.policies import PermutationPolicy, RealFakePolicy
from mmgan.report.record import Record
from mmgan.report.spacing import evenly_spaced

PLANS, VALUES = 200, 2**20
"""The most plans that are drawn again, evenly spaced over training, and the most rows of all of them together."""


def drawn_lams(record: Record) -> npt.NDArray[np.float32]:
    """lam of the mixed rows of the run's first process, (n,); where a batch has one lam, one value a plan.

    At most `PLANS` of the steps that mixed rows are drawn again.

    Raises:
        ValueError: where config.yaml does not hold what they were drawn by.
    """
    config, b = record.config, _rows_of_a_slice(record)
    found = [np.empty(0, np.float32)]
    for step in evenly_spaced(list(_mixing_steps(record)), max(2, min(PLANS, VALUES // b))):
        for plan in _draw(record, b, step):
            lam = plan.lam.numpy()
            found.append(lam[:1] if config.get("per") == "batch" else lam)
    return np.concatenate(found)


def expected_shares(record: Record, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of lam that the law gives to each bin, (n,).

    Args:
        edges: (n + 1,), from 0 to 1.
    """
    from scipy.special import betainc  # here: a run without mixing needs none of it

    law, alpha = record.config.get("lam", "beta" if record.is_classifier else "uniform"), float(record.config["alpha"])
    if law == "uniform":
        return np.diff(np.clip(edges / alpha, 0.0, 1.0))
    if law == "folded-beta":  # of min(lam, 1 - lam)
        low = np.minimum(edges, 0.5)
        return np.diff(2 * betainc(alpha, alpha, low))
    return np.diff(betainc(alpha, alpha, edges))


def _mixing_steps(record: Record) -> Iterator[int]:
    """The numbers, from 0, of the draws that mixed rows: a classifier's steps, a discriminator's steps."""
    for row in record.metrics:
        layers = row.get("layers", [])
        if record.is_classifier:
            if layers and layers != ["none"]:
                yield row["step"] - 1
        else:
            first = (row["step"] - 1) * len(layers)
            yield from (first + i for i, layer in enumerate(layers) if layer != "none")


def _draw(record: Record, b: int, step: int) -> tuple[Any, ...]:
    config, seed = record.config, int(record.config.get("seed", 0))
    known: dict[str, Any] = {name: config[name] for name in ("alpha", "lam", "per") if name in config}
    if record.is_classifier:
        layer_per = config.get("layer_per", "batch")
        return PermutationPolicy(config["mix"], **known, layer_per=layer_per).draw_groups(b, step, seed)
    if "pairs" in config:
        known["pairs"] = tuple(str(config["pairs"]).split(","))
    return (RealFakePolicy(config["mix"], **known).draw(b, step, seed),)


def _rows_of_a_slice(record: Record) -> int:
    batch, slices = record.config.get("batch_size"), record.config.get("accumulate", 1)
    if not isinstance(batch, int) or not slices or "alpha" not in record.config:
        raise ValueError("config.yaml does not say by which law, or how many at a time")
    rows = max(1, batch // (record.processes * int(slices)))
    if rows > VALUES:
        raise ValueError(f"{rows:,} of them a step are too many to draw again")
    return rows
