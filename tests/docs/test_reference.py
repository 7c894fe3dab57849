"""Every public name stands in the reference, with shapes, units, errors and source where they apply."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import mmgan
from docs.scripts.flags import flag_pages
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat

REFERENCE = Path(__file__).parents[2] / "docs/reference"
LISTED = {name for page in REFERENCE.glob("*.md") for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)}
ROOMS = ["regularizers", "scoring", "data", "report", "generators", "discriminators", "classifiers"]
NAMES = [("mmgan", name) for name in mmgan.__all__]
NAMES += [(f"mmgan.{room}", name) for room in ROOMS for name in import_module(f"mmgan.{room}").__all__]
CALLS = {"train_gan": "mmgan.python.train", "score": "mmgan.python.score", "load_generator": "mmgan.python.load"}


def documented(place: str) -> Any:
    module, name = place.rsplit(".", 1)
    return getattr(import_module(module), name)


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_is_listed(module: str, name: str) -> None:
    home = CALLS.get(name, module) if module == "mmgan" else module
    assert f"{home}.{name}" in LISTED


@pytest.mark.parametrize("place", sorted(LISTED))
def test_what_is_listed_is_documented(place: str) -> None:
    thing = documented(place)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return  # a constant: its string stands below it, where only the source has it
    text = inspect.getdoc(thing) or ""
    assert text, place
    functions = [thing] if inspect.isfunction(thing) else [m for n, m in vars(thing).items() if inspect.isfunction(m)]
    for function in functions:
        hidden = function.__name__.startswith("_") and function.__name__ != "__init__"
        if hidden or inspect.unwrap(function).__code__.co_filename.startswith("<"):  # what dataclasses write
            continue
        own = f"{text}\n{inspect.getdoc(function) or ''}"
        if re.search(r"^\s+raise UserError", inspect.getsource(function), re.M):
            assert "Raises" in own or "Refuse" in own, f"{place}.{function.__name__} raises UserError"


@pytest.mark.parametrize("place", sorted(LISTED))
def test_tensors_have_shapes(place: str) -> None:
    """In the annotation, as jaxtyping writes it, or in the text."""
    thing = documented(place)
    if not inspect.isfunction(thing):
        return
    signature = str(inspect.signature(thing))
    if "torch.Tensor" in signature:
        assert re.search(r"\[Tensor, '|\(n|\(\.\.\.|nest|shape", signature + (inspect.getdoc(thing) or "")), place


def test_every_flag_is_in_the_reference() -> None:
    pages = flag_pages()
    for name, config in (("train-gan", GanConfig()), ("train-classifier", ClassifierConfig())):
        for setting in flat(config):
            assert f"--{setting.replace('_', '-')}" in pages[f"reference/{name}.md"]
    assert "`--interpolate`" in pages["reference/commands.md"]
    assert "`8/255`" in pages["reference/train-classifier.md"]


@pytest.mark.parametrize("name", ["R1", "R2", "GradientPenalty", "LeCam", "BCR", "ZCR", "DiffAugment"])
def test_a_regularizer_names_its_source(name: str) -> None:
    thing = documented(f"mmgan.regularizers.{name}")
    text = (inspect.getdoc(thing) or "") + (import_module(thing.__module__).__doc__ or "")
    assert re.search(r"(19|20)\d\d|arXiv", text), name
