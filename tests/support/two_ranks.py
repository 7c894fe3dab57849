"""NaN on one of two processes: the trainers, a fault in each, or none.

Each process writes its exit code and errors to RESULTS/<case>-<rank>.json.
"""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from mmgan.draws import global_stream
from mmgan.scoring.extractors import NetworkExtractor
from tests.support.forks import Done, Job, run_all
from tests.support.small_runs import CLASSIFIER, UNSCORED

AT = 4
"""The step, from 0, in which it happens."""

GAN = [*UNSCORED, "--sample-every", "0", "--steps", "8", "--log-every", "4", "--n-dis", "1"]
CASES: dict[str, tuple[str, str, list[str]]] = {
    "loss": ("loss", "gan", GAN),
    "gradient": ("gradient", "gan", GAN),
    "generator": ("generator", "gan", GAN),
    "skipped": ("generator", "gan", [*GAN, "--skip-non-finite", "2"]),
    "too-often": ("always", "gan", [*GAN, "--skip-non-finite", "2"]),
    "classifier": ("labels", "classifier", [*CLASSIFIER, "--checkpoint-every", "0"]),
    "classifier-skipped": ("labels", "classifier", [*CLASSIFIER, "--skip-non-finite", "1"]),
}
"""Name -> (fault, program, flags)."""
WATCHED = {
    "quiet": ("none", "gan", [*GAN, "--log-every", "1000", "--checkpoint-every", "0"]),
    "busy": (
        "none",
        "gan",
        [
            *GAN,
            *("--log-every", "1", "--checkpoint-every", "1", "--sample-every", "1", "--score-every", "2"),
            *("--diagnose-every", "5", "--tracker", "tensorboard"),
        ],
    ),
    "classifier-quiet": ("none", "classifier", [*CLASSIFIER, "--log-every", "1000", "--checkpoint-every", "0"]),
    "classifier-busy": ("none", "classifier", [*CLASSIFIER, "--log-every", "1", "--tracker", "tensorboard"]),
}
"""No fault: the same training, watched closely or not at all."""


def nth_call(original: Callable[..., Any], change: Callable[..., Any], n: int, always: bool = False) -> Any:
    """The function, but in its n-th call (from then on with `always`) `change` of its result and arguments."""
    count = -1

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        result = original(*args, **kwargs)
        return change(result, *args) if count == n or (always and count > n) else result

    return counted


def fault(kind: str) -> Any:
    """A patch of the program."""
    import mmgan.gan.objectives
    import mmgan.supervised.loop

    gan, supervised = mmgan.gan.objectives, mmgan.supervised.loop
    if kind == "none":
        return contextlib.nullcontext()
    if kind in ("loss", "always"):
        bad = lambda losses, *_: replace(  # noqa: E731
            losses, total=losses.total * float("nan"), mixed=losses.mixed * float("nan")
        )
        return mock.patch.object(
            gan, "discriminator_losses", nth_call(gan.discriminator_losses, bad, AT, kind == "always")
        )
    if kind == "gradient":

        def backward(losses: Any, loss: Any, real: Tensor, *_: Any) -> Any:
            real.register_hook(lambda gradient: gradient * float("inf"))
            return losses

        return mock.patch.object(gan, "discriminator_losses", nth_call(gan.discriminator_losses, backward, AT))
    if kind == "generator":  # from its input on, so that BatchNorm meets it too
        nan = lambda z, *_: z * float("nan")  # noqa: E731
        return mock.patch.object(torch, "randn", nth_call(torch.randn, nan, 2 * AT))
    labels = lambda y, *_: y * float("nan")  # noqa: E731
    return mock.patch.object(supervised, "soft_labels", nth_call(supervised.soft_labels, labels, AT))


def untrained_judge() -> NetworkExtractor:
    with global_stream(0, "test judge"):
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 10))
    return NetworkExtractor(network, "untrained", "2", image_size=16, channels=1)


def run(name: str, rank: int, results: Path) -> dict[str, Any]:
    from importlib import import_module

    kind, program, flags = (CASES | WATCHED)[name]
    error = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stderr(error))
        stack.enter_context(mock.patch("mmgan.gan.scores.make_extractor", return_value=untrained_judge()))
        if rank == 1:
            stack.enter_context(fault(kind))
        code = import_module(f"mmgan.train_{program}").main([*flags, "--out", str(results / name)])
    return {"code": code, "errors": [line for line in error.getvalue().splitlines() if line.startswith("error")]}


def main(argv: list[str]) -> int:
    """RESULTS CASE: one process of that case; which, the environment says."""
    results, name = Path(argv[0]), argv[1]
    rank = int(os.environ["RANK"])
    outcome = run(name, rank, results)
    (results / f"{name}-{rank}.json").write_text(json.dumps(outcome))
    return 0


def run_cases(results: Path, names: Iterable[str]) -> dict[str, Done]:
    """Run each case in two processes, forks of one Python."""
    jobs = [Job(__name__, [str(results), name], processes=2) for name in names]
    return dict(zip(names, run_all(jobs), strict=True))
