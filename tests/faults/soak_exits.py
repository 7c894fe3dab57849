"""Runs of two processes that must all end with code 0: `python -m tests.faults.soak_exits [--launches 200]`.

Each pair trains a few steps, and its interpreters end as those of launched processes do; they are forks of one Python,
so that a pair takes a few seconds. A process that a fatal signal ends prints its C++ stacks.
"""

import argparse
import collections
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from tests.support.forks import run_program
from tests.support.preload import preload
from tests.support.small_runs import CLASSIFIER, UNSCORED

RUNS = {"gan": [*UNSCORED, "--steps", "2", "--sample-every", "0"], "classifier": [*CLASSIFIER, "--epochs", "1"]}


def be_rank(rank: int, port: int, program: str, place: Path) -> None:
    """In the fork. SystemExit leaves by the interpreter's own end."""
    import torch

    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    torch._C._set_print_stack_traces_on_fatal_signal(True)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.exit(run_program(program, [*RUNS[program], "--out", str(place / "run")]))


def launch(program: str) -> tuple[tuple[int, ...], str]:
    """The exit codes of both processes, and what they said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = Path(tempfile.mkdtemp())  # not in a block: the forks leave through all blocks around them
    children = []
    for rank in (0, 1):
        child = os.fork()
        if child == 0:
            be_rank(rank, port, program, place)
        children.append(child)
    codes = tuple(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    said = (place / "log").read_text(errors="replace")
    shutil.rmtree(place)
    return codes, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=200)
    arguments = parser.parse_args()
    preload()
    counts: collections.Counter[tuple[int, ...]] = collections.Counter()
    for i in range(arguments.launches):
        codes, said = launch(list(RUNS)[i % 2])
        counts[codes] += 1
        if codes != (0, 0):
            print(f"launch {i + 1} ended with {codes}:\n{said[-20000:]}", flush=True)
        elif (i + 1) % 10 == 0:
            print(f"{i + 1} launches: {dict(counts)}", flush=True)
    return int(set(counts) != {(0, 0)})


if __name__ == "__main__":
    sys.exit(main())
