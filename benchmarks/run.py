"""Run all benchmarks, print figures, targets and verdicts, and write results/<machine>.json next to this file.

    python benchmarks/run.py [--quick] [--only gan_step,data] [--device cuda] [--threads 2] [--machine NAME]

A part adds its figures to those already in the file, so parts can be measured one by one. Figures of another commit
leave the file: one table shows one state of the code. Quick figures come from tiny settings. They only show that
everything runs, and they go to results/quick.json.
"""

import argparse
import dataclasses
import importlib
import json
import platform
import re
import subprocess
import time
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from benchmarks.rows import Row
from benchmarks.table import render

PARTS = (
    *("gan_step", "regularized_step", "safety", "classifier_step", "mixed_forward", "core", "diagnosis", "overhead"),
    *(
        "precision",
        "launches",
        "scaling",
        "processes",
        "data",
        "scoring",
        "extractors",
        "score_scaling",
        "intervals",
        "memory",
    ),
    *("commands", "startup", "mimicry"),
)
RESULTS = Path(__file__).parent / "results"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny settings, to check that it runs, not how fast")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to measure, separated by commas")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--machine", help="name of the JSON file; default: the processor or GPU")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON and the plots")
    arguments = parser.parse_args(words)
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"there is no part '{unknown[0]}': choose from {', '.join(PARTS)}")
    torch.set_num_threads(arguments.threads)
    machine = "quick" if arguments.quick else arguments.machine or machine_name(arguments.device)
    path = arguments.results / f"{machine}.json"
    for name in names:
        start = time.perf_counter()
        part = importlib.import_module(f"benchmarks.{name}")
        rows = part.measure(arguments.device, arguments.quick)
        figures = [as_json(row, arguments.quick) for row in rows]
        seconds = time.perf_counter() - start
        save(path, name, figures, arguments, seconds)
        draw(part, rows, arguments.results / f"{machine}-{name}.png")
        print(f"{name}, {seconds:.0f} s\n{render({name: figures})}", flush=True)


def save(path: Path, name: str, figures: list[dict[str, Any]], arguments: argparse.Namespace, seconds: float) -> None:
    """Put a part's rows into the file and keep the rows of other parts that were measured at this commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else {}
    if before.get("commit") != commit():
        before = {}
    parts = {**before.get("parts", {}), name: figures}
    facts = {
        "commit": commit(),
        "processor": processor(),
        "gpu": torch.cuda.get_device_name() if arguments.device == "cuda" else None,
        "device": arguments.device,
        "threads": arguments.threads,
        "torch": torch.__version__,
    }
    ordered = {part: parts[part] for part in PARTS if part in parts}
    taken = before.get("seconds", {}) | {name: round(seconds, 1)}
    path.write_text(json.dumps(facts | {"seconds": taken, "parts": ordered}, indent=1) + "\n")


def commit() -> str:
    """The code that is measured: the last commit, and whether a Python file differs from it."""
    git = partial(subprocess.run, cwd=RESULTS.parent, capture_output=True, text=True, check=True)
    changed = git(["git", "status", "--porcelain", "--", ":/*.py"]).stdout
    return git(["git", "rev-parse", "--short=10", "HEAD"]).stdout.strip() + (" and changes" if changed else "")


def as_json(row: Row, quick: bool) -> dict[str, Any]:
    """Return the row with its verdict. A quick row has none."""
    return dataclasses.asdict(row) | {"verdict": "none" if quick else row.verdict}


def draw(part: ModuleType, rows: list[Row], path: Path) -> None:
    """Draw the plot of a part that has one."""
    if hasattr(part, "plot"):
        part.plot(rows, path)


def processor() -> str:
    """Return the processor's name and the number of threads that this process uses."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return (
        f"{found.group(1) if found else platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    )


def machine_name(device: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else processor()
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    main()
