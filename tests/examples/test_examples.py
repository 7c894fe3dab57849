"""Each file of examples/ trains for a few steps, is mixed in each of them, and its mixed rows train the network."""

import importlib.util
import math
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mmgan import Mixed, PermutationPolicy, RealFakePolicy

pytestmark = pytest.mark.slow(6)

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 3

# name, sizes for the test, mixed calls a step
GANS: list[tuple[str, dict[str, Any], int]] = [
    ("stylegan2_style", {"batch": 8, "r1_every": 2}, 1),
    ("projection_hinge", {"batch": 8}, 1),
    ("projection_hinge", {"batch": 8, "soft_class": True}, 1),
    ("patchgan_vq", {"batch": 4, "disc_start": 0}, 1),
    ("vocoder", {"batch": 2}, 5),
    ("tabular_packs", {"batch": 40}, 1),
]
CLASSIFIERS: list[tuple[str, dict[str, Any], int]] = [
    ("huggingface_vit", {"batch": 8}, 1),
    ("timm_model", {"batch": 8}, 1),
]
NEEDS = {"huggingface_vit": "transformers", "timm_model": "timm"}


def load(name: str) -> ModuleType:
    """The example as a module."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"pip install mmgan[examples]: this example needs {NEEDS[name]}")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_here_and_in_the_readme() -> None:
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == {f"{name}.py" for name, _, _ in GANS + CLASSIFIERS}
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"[{name}]({name})" in text for name in files)
    assert all(len(path.read_text().splitlines()) <= 120 for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize(("name", "sizes", "calls"), GANS + CLASSIFIERS)
def test_it_trains_and_its_mixed_rows_count(
    name: str, sizes: dict[str, Any], calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load(name)
    plans: Counter[str] = Counter()
    forward = Mixed.forward

    def spy(self: Mixed, *inputs: Any, plan: Any = None, **named: Any) -> Any:
        if plan is not None and len(plan):
            plans[plan.layer] += 1
        return forward(self, *inputs, plan=plan, **named)

    monkeypatch.setattr(Mixed, "forward", spy)
    start, _ = example.main(steps=0, **sizes)
    trained, history = example.main(steps=STEPS, **sizes)
    assert len(history) == STEPS
    assert all(math.isfinite(value) for numbers in history for value in numbers.values())
    assert all(numbers.get("mixed") != 0 for numbers in history)
    assert sum(plans.values()) == STEPS * calls
    before, after = dict(start.named_parameters()), dict(trained.named_parameters())
    assert [key for key in before if torch.equal(before[key], after[key])] == []

    for policy in (RealFakePolicy, PermutationPolicy):  # the baseline: the same loop, nothing mixed
        monkeypatch.setattr(example, policy.__name__, lambda *_, policy=policy, **__: policy("none"), raising=False)
    plain, without = example.main(steps=STEPS, **sizes)
    assert all(numbers.get("mixed", 0) == 0 for numbers in without)
    other = dict(plain.named_parameters())
    assert [key for key in after if torch.equal(other[key], after[key])] == []
