"""From command to the first training step: the bare GAN command without scores against `python -c 'import torch'`.

Each run is a process of its own. The command is stopped where its first discriminator step would begin.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial

from benchmarks.rows import Row, row_of
from benchmarks.timing import alternate

TORCH = "import torch"
COMMAND = """
import os, sys
import mmgan.process.stopping
from mmgan.train_gan import main

class Here(mmgan.process.stopping.StopRequests):
    def share(self, accelerator):  # called when everything is ready for the first step
        os._exit(0)

mmgan.train_gan.StopRequests = Here
main(["--score-every", "0", "--out", sys.argv[1]])
"""


def measure(device: str, quick: bool) -> list[Row]:
    """Return the rows of this part. One thread, as a job of a sweep has."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"ACCELERATE_USE_CPU": "1"} if device == "cpu" else {})
    with tempfile.TemporaryDirectory() as folder:

        def run(program: str) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                command = [sys.executable, "-c", program, f"{out}/run"]
                subprocess.run(command, env=environment, check=True, capture_output=True)

        timings = alternate({"torch": partial(run, TORCH), "command": partial(run, COMMAND)}, 1 if quick else 5)
    what = "mmgan train-gan --score-every 0, from the command to the first training step"
    detail = {"import torch, s": timings.seconds("torch").value}
    return [
        row_of(
            f"{what} / import torch", timings.ratio("command", "torch"), "x", at_most=2.1, headline=True, detail=detail
        ),
        row_of(what, timings.seconds("command"), "s"),
    ]
