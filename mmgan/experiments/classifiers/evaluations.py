"""Measures on trained classifiers, taken by `mmgan evaluate` in processes of their own, several at a time."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mmgan.errors import TrainingFailed
from mmgan.experiments.framework.outcome import Place
from mmgan.report.record import Record
from mmgan.storage import write_atomically
from mmgan.sweeps.local import cores, environment


def evaluate(
    place: Place,
    records: Mapping[str, Sequence[Record]],
    measures: Sequence[str],
    limit: int,
    *,
    attack_examples: int = 200,
    bank: int = 0,
    epsilons: Sequence[float] = (8 / 255,),
) -> dict[str, list[dict[str, Any]]]:
    """Evaluate each run's last checkpoint; results by arm, in the order of the seeds.

    A run that was evaluated before with the same arguments is not evaluated again.

    Args:
        place: its `jobs` is the number of processes at a time.
        records: the runs by arm.
        measures: as `mmgan evaluate --measures` names them.
        limit: test images, drawn by the same seed for all runs; 0: all.
        attack_examples: test images for the attacks of many steps.
        bank: number of training images for the nearest neighbours; 0: all.
        epsilons: radii of the bounded attacks, in pixel units of [0, 1].

    Raises:
        TrainingFailed: if a run cannot be evaluated.
    """
    threads = max(1, cores() // place.jobs)

    asked = {
        "measures": list(measures),
        "limit": limit,
        "attack_examples": attack_examples,
        "bank": bank,
        "epsilons": list(epsilons),
    }

    def one(record: Record) -> dict[str, Any]:
        path = record.folder.path / f"evaluation-{'-'.join(measures)}.json"
        if (kept := _kept(path, asked)) is not None:
            return kept
        words = ["evaluate", str(record.folder.path), "--json", "--measures", *measures, "--limit", str(limit)]
        words += ["--attack-examples", str(attack_examples), "--bank", str(bank)]
        words += ["--epsilon", *map(str, epsilons)]
        done = subprocess.run(
            [sys.executable, "-m", "mmgan", *words], capture_output=True, text=True, env=environment(threads)
        )
        if done.returncode:
            raise TrainingFailed(f"mmgan {' '.join(words)}: {(done.stderr.strip() or 'it said nothing')[-500:]}")
        result: dict[str, Any] = json.loads(done.stdout)
        write_atomically(path, json.dumps({"asked": asked, "result": result}) + "\n")
        return result

    runs = [record for of in records.values() for record in of]
    with ThreadPoolExecutor(place.jobs) as pool:
        results = iter(list(tqdm(pool.map(one, runs), total=len(runs), desc="evaluate", unit="run")))
    return {name: [next(results) for _ in of] for name, of in records.items()}


def clean_accuracy(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[float]]:
    """Accuracy in percent on the unchanged test images, by arm, from the results of `evaluate`."""
    return {name: [100 - result["test_error_percent"] for result in of] for name, of in results.items()}


def _kept(path: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result in a file of an earlier evaluation; None if there is none, it is damaged, or it asked otherwise."""
    try:
        values = json.loads(path.read_bytes())
        result: dict[str, Any] = values["result"]
        return result if values["asked"] == asked and isinstance(result, dict) else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
