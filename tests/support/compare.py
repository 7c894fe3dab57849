"""Two run folders, bit by bit; and damage to one."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from mmgan.runs.belongings import LOCK
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault


def assert_same_run(one: Path, other: Path, *, scored: bool = True) -> None:
    """The same last checkpoint in weights, averages and optimiser state, the same best, metrics and scores."""
    a, b = RunFolder(one), RunFolder(other)
    assert a.metrics_file.read_bytes() == b.metrics_file.read_bytes()
    steps = [row["step"] for row in a.read_metrics()]
    assert steps == list(range(1, len(steps) + 1))
    last = f"step-{steps[-1]:08d}"
    assert (a.checkpoints / last).is_dir()
    for name in (last, "best"):
        if (a.checkpoints / name).is_dir():
            assert_same_checkpoint(a.checkpoints / name, b.checkpoints / name)
    if scored:
        assert a.read_scores() == b.read_scores() != {}
    for folder in (a, b):
        left = [path.name for path in folder.path.rglob("*") if path.suffix in (".part", ".old")]
        assert left == []


def assert_same_checkpoint(one: Path, other: Path) -> None:
    assert find_fault(one) is None
    assert find_fault(other) is None
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    for name in names:
        if name.endswith(".safetensors"):
            a, b = load_file(one / name), load_file(other / name)
            assert a.keys() == b.keys()
            assert [key for key in a if not torch.equal(a[key], b[key])] == []
        elif name.endswith(".pt"):
            assert_equal_state(*(torch.load(folder / name, weights_only=True) for folder in (one, other)))
    assert json.loads((one / "state.json").read_text()) == json.loads((other / "state.json").read_text())


def assert_equal_state(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key in a:
            assert_equal_state(a[key], b[key])
    elif isinstance(a, list):
        assert isinstance(b, list)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal_state(x, y)
    else:
        assert a == b


def flip_bit(file: Path, byte: int | None = None) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2 if byte is None else byte] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, without the lock that a killed run leaves: the next one takes it over."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
