"""Two processes with one thread each against one with two threads, at equal global batch, launched in alternation.

Each process runs this file as a module: `python -m benchmarks.processes DEVICE BATCH WIDTH STEPS`. The first process
prints its seconds per GAN iteration.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from benchmarks.rows import Row, row_of
from benchmarks.setup import SEED, Gan
from benchmarks.timing import median
from mmgan.data import make_batches
from mmgan.training.tasks import Task

ROOT = Path(__file__).parents[1]


def measure(device: str, quick: bool) -> list[Row]:
    """Return the row of this part, or none on a CUDA machine with one GPU, which two processes would share."""
    if device == "cuda" and torch.cuda.device_count() < 2:
        return []
    batch, width, steps, launches = (8, 8, 2, 1) if quick else (32, 64, 4, 2)
    settings = [device, str(batch), str(width), str(steps)]
    seconds = np.array([[launch(processes, settings) for processes in (1, 2)] for _ in range(launches)])
    what = f"two processes / one, GAN iteration, SN-ResNets {width} wide, n_dis 1, global batch {batch}"
    detail = {"seconds": {"one": seconds[:, 0].tolist(), "two": seconds[:, 1].tolist()}}
    return [row_of(what, median(seconds[:, 1] / seconds[:, 0]), "x", detail=detail)]


def launch(processes: int, settings: list[str]) -> float:
    """Return the seconds per iteration of a run with `processes` processes and two threads in total."""
    environment = os.environ | {"OMP_NUM_THREADS": str(2 // processes)}
    if settings[0] == "cpu":
        environment |= {"ACCELERATE_USE_CPU": "1"}
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "--module"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), "benchmarks.processes", *settings]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    device, batch, width, steps = sys.argv[1], *map(int, sys.argv[2:])
    accelerator = Accelerator(cpu=device == "cpu")
    gan = Gan(str(accelerator.device), batch, d_width=width, g_width=width, n_dis=1)
    made = gan.parts()
    g, d, opt_g, opt_d = accelerator.prepare(made.generator, made.discriminator, made.opt_g, made.opt_d)
    rank, processes = accelerator.process_index, accelerator.num_processes
    mine = make_batches(gan.images(), batch, seed=SEED, rank=rank, world_size=processes, device=accelerator.device)
    times: list[float] = []
    note = Task(lambda step: times.append(time.perf_counter()), every=1)  # the losses are read before it: all is done
    parts = replace(made, generator=g, discriminator=d, opt_g=opt_g, opt_d=opt_d, batches=mine)
    gan.train(parts, accelerator, steps + 1, tasks=[note])
    if accelerator.is_main_process:
        print((times[-1] - times[0]) / steps)
    accelerator.wait_for_everyone()
    accelerator.end_training()


if __name__ == "__main__":
    main()
