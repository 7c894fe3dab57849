"""No command imports torch, or what imports torch, to print its help or to refuse a bad flag."""

import subprocess
import sys

import pytest

from mmgan.__main__ import COMMANDS

PROGRAM = """
import sys
from mmgan.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = {"torch", "torchvision", "accelerate", "sklearn", "scipy", "matplotlib", "torch_fidelity"} & set(sys.modules)
print("imported:", sorted(heavy), "code:", code)
"""


@pytest.mark.slow(2)
@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["--version"], 0), (["traingan"], 2)]
    + [([name, "--help"], 0) for name in COMMANDS]
    + [(["train-gan", "--stepz", "3"], 2), (["train-classifier", "--alpha", "high"], 2)],
)
def test_help_and_bad_flags_do_not_wait_for_torch(words: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"imported: [] code: {code}", done.stderr
