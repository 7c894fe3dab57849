"""`mmgan inspect`: a network from a file, and what is refused."""

from pathlib import Path

import pytest

from mmgan.__main__ import main

SOURCE = """
import torch
from torch import nn


class D(nn.Module):
    def __init__(self, channels, width=4):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, 2, 1)
        self.branch, self.head = nn.Conv2d(width, width, 1), nn.Linear(width, 1)

    def forward(self, x):
        h = self.first(x)
        return self.head((h + self.branch(h)).mean((2, 3)))


NUMBER = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_the_cuts_of_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"{file}:D", "--input", "3,8,8", "--args", '{"width": 6}', "--all"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert list(rows) == ["pixel", "first", "branch", "head"]
    assert "6x4x4" in rows["first"]
    assert rows["first"].endswith("replace, append, alone  cut")
    assert "a path runs around it" in rows["branch"]
    # 3*6*9 of 3*6*9 + 6*6 multiply-adds at each of 16 positions, and 6 at the end
    share = 16 * 3 * 6 * 9 / (16 * (3 * 6 * 9 + 36) + 6)
    assert f"{share:.0%}" in rows["first"]


def test_only_the_cuts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"{file}:D", "--input", "3,8,8"]) == 0
    out = capsys.readouterr().out
    assert "branch" not in out
    assert out.splitlines()[-1] == "3 cuts; 1 other modules, which --all shows with the reasons"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{file}:E", "--input", "3,8,8"], "holds no 'E': choose from D"),
        (["{file}:NUMBER", "--input", "3,8,8"], "is a int: name a class or a function"),
        (["{file}:D"], "--input is needed"),
        (["{file}:D", "--input", "3,a"], "--input 3,a is not a shape"),
        (["{file}:D", "--input", "3,8,8", "--args", "[]"], "--args must be a JSON object"),
        (["{file}:D", "--input", "3,8,8", "--args", '{"widht": 4}'], "takes no argument 'widht': did you mean width?"),
        (["nowhere.py:D", "--input", "3,8,8"], "the file nowhere.py does not exist"),
        (["no_such_package.net:D", "--input", "3,8,8"], "there is no module no_such_package"),
        (["nowhere"], "nowhere is not a run folder"),
    ],
)
def test_bad_input_in_one_line(words: list[str], line: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *(word.replace("{file}", str(file)) for word in words)]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
