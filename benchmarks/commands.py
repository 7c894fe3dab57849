"""Time of the commands' --help, each in its own process."""

import subprocess
import sys
from functools import partial

from benchmarks.rows import Row, row_of
from benchmarks.timing import alternate

HELP: dict[str, tuple[list[str], float]] = {"mmgan --help": ([], 1.0), "mmgan train-gan --help": (["train-gan"], 3.0)}


def measure(device: str, quick: bool) -> list[Row]:
    """Return the rows of this part."""

    def helping(words: list[str]) -> None:
        subprocess.run([sys.executable, "-m", "mmgan", *words, "--help"], check=True, stdout=subprocess.DEVNULL)

    calls = {name: partial(helping, words) for name, (words, _) in HELP.items()}
    timings = alternate(calls, 2 if quick else 10)
    return [row_of(name, timings.seconds(name), "s", at_most=most) for name, (_, most) in HELP.items()]
