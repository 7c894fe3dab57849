"""NaN on one of two processes: `non_finite.py RESULTS` runs the trainers one after the other, a fault in each.

Each process writes the exit code and the errors of each case to RESULTS/rank<r>.json.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from small_runs import CLASSIFIER, UNSCORED
from torch import Tensor

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
    import mmgan.training.gan
    import mmgan.training.supervised

    gan, supervised = mmgan.training.gan, mmgan.training.supervised
    if kind in ("loss", "always"):
        bad = lambda losses, *_: losses._replace(  # noqa: E731
            total=losses.total * float("nan"), mixed=losses.mixed * float("nan")
        )
        return mock.patch.object(
            gan, "discriminator_losses", nth_call(gan.discriminator_losses, bad, AT, kind == "always")
        )
    if kind == "gradient":

        def backward(losses: Any, loss: Any, logits: Tensor, *_: Any) -> Any:
            logits.register_hook(lambda gradient: gradient * float("inf"))
            return losses

        return mock.patch.object(gan, "discriminator_losses", nth_call(gan.discriminator_losses, backward, AT))
    if kind == "generator":  # from its input on, so that BatchNorm meets it too
        nan = lambda z, *_: z * float("nan")  # noqa: E731
        return mock.patch.object(torch, "randn", nth_call(torch.randn, nan, 2 * AT))
    labels = lambda y, *_: y * float("nan")  # noqa: E731
    return mock.patch.object(supervised, "soft_labels", nth_call(supervised.soft_labels, labels, AT))


def run(name: str, number: int, results: Path) -> dict[str, Any]:
    from importlib import import_module

    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)  # so that processes find those of this case
    kind, program, flags = CASES[name]
    error = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stderr(error))
        if os.environ["RANK"] == "1":
            stack.enter_context(fault(kind))
        code = import_module(f"mmgan.train_{program}").main([*flags, "--out", str(results / name)])
    return {"code": code, "errors": [line for line in error.getvalue().splitlines() if line.startswith("error")]}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    outcomes = {name: run(name, number, folder) for number, name in enumerate(CASES)}
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(outcomes))
