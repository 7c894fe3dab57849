"""The digits demo, shortened, killed at twenty random moments and resumed each time: bitwise the undisturbed run.

python -m tests.faults.soak [--moments 20] [--processes 1] [--seed 0]

Each moment is one of: kill -9 to all processes at once, kill -9 to the launcher alone, SIGTERM to the launcher. Moments
fall into the start of a process as well as into training, saving and scoring. A run that ends before all moments are
used is compared, and another is begun.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.support.compare import assert_same_run

ROOT = Path(__file__).parents[2]
FLAGS = [
    *("--mix", "1,2,pixel", "--steps", "200", "--checkpoint-every", "5", "--sample-every", "25"),
    *("--score-every", "50", "--score-samples", "500"),
]
WAYS = ("kill -9 to all", "kill -9 to the launcher", "SIGTERM to the launcher")
PATIENCE = 60.0
"""Seconds within which no process may be left behind."""


def command(out: Path, processes: int, *more: str) -> list[str]:
    launcher = [str(Path(sys.executable).parent / "accelerate"), "launch", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_processes", str(processes)]
    launcher += ["--cpu"] if processes == 1 else ["--multi_gpu", "--main_process_port", "0"]
    return [*launcher, "mmgan/train_gan.py", *FLAGS, "--out", str(out), *more]


def launch(out: Path, processes: int, log: Path, *more: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        return subprocess.Popen(
            command(out, processes, *more), cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )


def all_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        launcher = psutil.Process(process.pid)
        return [launcher, *launcher.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def strike(process: subprocess.Popen[bytes], way: str) -> str:
    """End a run in that way; what came of it."""
    alive = all_of(process)
    for one in alive if way == "kill -9 to all" else alive[:1]:
        if way.startswith("SIGTERM"):
            one.terminate()
        else:
            one.kill()
    began = time.monotonic()
    code = process.wait(PATIENCE)
    _, left = psutil.wait_procs(alive, PATIENCE)
    assert not left, f"{left} were left behind"
    return f"launcher's exit code {code}, all gone after {time.monotonic() - began:.1f} s"


def last_step(out: Path) -> int | None:
    steps = [int(path.name.removeprefix("step-")) for path in (out / "checkpoints").glob("step-*")]
    return max(steps, default=None)


def soak(moments: int, processes: int, seed: int, place: Path) -> None:
    draw = random.Random(seed)
    whole, log = place / "whole", place / "log"
    began = time.monotonic()
    assert launch(whole, processes, log).wait() == 0, log.read_text()
    duration = time.monotonic() - began
    print(f"undisturbed: {duration:.1f} s, {processes} process{'es' * (processes > 1)}", flush=True)

    used, runs, out = 0, 0, place / "run-0"
    while True:
        step = last_step(out)
        process = launch(out, processes, log, *(["--resume"] if step is not None else ["--overwrite"] * out.exists()))
        if used < moments:
            starts, delay, way = draw.random() < 0.25, draw.random(), draw.choice(WAYS)
            metrics = out / "metrics.jsonl"
            size = metrics.stat().st_size if metrics.exists() else -1
            while not starts and process.poll() is None and (not metrics.exists() or metrics.stat().st_size == size):
                time.sleep(0.01)
            time.sleep(delay * duration / 10)
            if process.poll() is None:
                used += 1
                result = strike(process, way)
                print(
                    f"{used:2}: {way}, {'at its start' if starts else 'in training'}, resumed from"
                    f" {'nothing' if step is None else f'step {step}'}; now at {last_step(out)}; {result}",
                    flush=True,
                )
                continue
        assert process.wait() == 0, log.read_text()[-3000:]
        assert_same_run(whole, out)
        runs += 1
        print(f"run {runs} ended bitwise as the undisturbed one, after {used} moments", flush=True)
        if used == moments:
            return
        out = place / f"run-{runs}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        soak(arguments.moments, arguments.processes, arguments.seed, Path(place))


if __name__ == "__main__":
    main()
