"""The intervals that AdaMix's generator chooses, and its discriminator's judgement, on images held out from training.

Each image is paired with one other, by a draw that is the same at every epoch. As in `held_out`, one process computes
each image's row, in the same chunk for any number of processes.
"""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor

from mmgan.data import Images, to_float
from mmgan.draws import numpy_stream
from mmgan.supervised.adamix import REAL, AdaMix, draw_weights
from mmgan.supervised.held_out import CHUNK
from mmgan.training.average import frozen_copy

Row = Callable[[Tensor, Tensor, int, slice], Tensor]
"""(images, partners, chunk, its rows) -> (n, k)."""


def learned_intervals(adamix: AdaMix, images: Images, accelerator: Accelerator, seed: int) -> dict[str, Any]:
    """The means of a and d over the pairs. All processes call it and get the same.

    Args:
        adamix: in training; it is not changed.
        images: with labels.
        accelerator: the run's.
        seed: of the pairs.

    Returns:
        policy_a, policy_d: over all pairs. by_pair: {"a": table, "d": table, "pairs": table}, where line i and column j
        are of pairs of class i, weighted by lam, with class j; None without a pair. It is left out where there are
        fewer images than pairs of classes.
    """
    generator = frozen_copy(adamix.generator, accelerator)

    def rows(x: Tensor, partner: Tensor, chunk: int, _: slice) -> Tensor:
        return torch.stack(generator(x, partner, draw_weights(x, seed, "held-out pair view", 0, chunk)), dim=1)

    right, table = _pairs(images, seed), _over_chunks(rows, 2, images, accelerator, seed)
    a, d = table.mean(0).tolist()
    assert images.labels is not None
    classes = len(images.classes)
    found: dict[str, Any] = {"policy_a": a, "policy_d": d}
    if len(images) >= classes**2:
        cell = images.labels * classes + images.labels[right]  # (n,)
        count = torch.bincount(cell, minlength=classes**2)  # (classes * classes,)
        sums = torch.zeros(2, classes**2, dtype=torch.float64).index_add(1, cell, table.T)
        found["by_pair"] = {"a": _square(sums[0], count), "d": _square(sums[1], count)}
        found["by_pair"]["pairs"] = count.view(classes, classes).tolist()
    return found


def judged_intrusions(adamix: AdaMix, images: Images, accelerator: Accelerator, seed: int) -> dict[str, Any]:
    """How real the discriminator takes the images, AdaMix's mixes of them and uniform mixes of the same pairs for.

    AdaMix's lam is a + d u and the uniform mix's is u, with the same u ~ U(0, 1).

    Returns:
        "real", "adamix" and "uniform": the mean probability. With "_share": the share above one half, in percent. And
        the number of pairs.
    """
    generator, discriminator = (frozen_copy(net, accelerator) for net in (adamix.generator, adamix.discriminator))
    network: Any = frozen_copy(adamix.network, accelerator)
    with_features = network.model
    draws = torch.from_numpy(numpy_stream(seed, "held-out lam").uniform(size=len(images))).float()

    def judge(x: Tensor) -> Tensor:
        probability: Tensor = discriminator(with_features(x)[1]).float().softmax(1)[:, REAL]  # (n,)
        return probability

    def rows(x: Tensor, partner: Tensor, chunk: int, at: slice) -> Tensor:
        u = draws[at].to(x.device)
        low, length = generator(x, partner, draw_weights(x, seed, "held-out pair view", 0, chunk))
        mixes = (torch.lerp(partner, x, lam.view(-1, 1, 1, 1)) for lam in (low + length * u, u))
        return torch.stack([judge(x), *map(judge, mixes)], dim=1)  # (n, 3)

    table = _over_chunks(rows, 3, images, accelerator, seed)
    names = ("real", "adamix", "uniform")
    means, shares = table.mean(0).tolist(), (100 * (table > 0.5).double().mean(0)).tolist()
    found = dict(zip(names, means, strict=True)) | {f"{n}_share": s for n, s in zip(names, shares, strict=True)}
    return found | {"pairs": len(images)}


def _square(sums: Tensor, count: Tensor) -> list[list[float | None]]:
    """The mean of each cell as lines of a square table, rounded to four digits; None for an empty cell."""
    classes = round(len(count) ** 0.5)
    means = [round(s / c, 4) if c else None for s, c in zip(sums.tolist(), count.tolist(), strict=True)]
    return [means[i : i + classes] for i in range(0, len(means), classes)]


def _pairs(images: Images, seed: int) -> Tensor:
    return torch.from_numpy(numpy_stream(seed, "held-out pairs").permutation(len(images)))


def _over_chunks(
    rows: Row, columns: int, images: Images, accelerator: Accelerator, seed: int
) -> Float[Tensor, "n columns"]:
    """What `rows` gives for each image and its partner, float64 on the host, the same on all processes."""
    device, rank, count = accelerator.device, accelerator.process_index, accelerator.num_processes
    right = _pairs(images, seed)
    table = torch.zeros(len(images), columns, device=device)
    with torch.no_grad():
        for c, start in enumerate(range(0, len(images), CHUNK)):
            if c % count == rank:
                at = slice(start, min(start + CHUNK, len(images)))
                x, partner = (to_float(pixels.to(device)) for pixels in (images.pixels[at], images.pixels[right[at]]))
                table[at] = rows(x, partner, c, at)
    total: Tensor = accelerator.reduce(table, reduction="sum")
    return total.cpu().double()
