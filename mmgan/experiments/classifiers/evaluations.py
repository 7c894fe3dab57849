"""Measures on trained classifiers, taken by `mmgan evaluate` in processes of their own, several at a time."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """The evaluation of each run's last checkpoint, by arm, in the order of the seeds.

    A run that was evaluated so before is not evaluated again.

    Args:
        place: says how many at a time.
        records: the runs by arm.
        measures: as `mmgan evaluate --measures` names them.
        limit: test images, drawn by the same seed for all runs; 0: all.
        attack_examples: test images for the attacks of many steps.
        bank: training images among which neighbours are looked for; 0: all.
        epsilons: radii of the attacks that have one, in pixel units of [0, 1].

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
        if path.is_file() and (kept := json.loads(path.read_text()))["asked"] == asked:
            result: dict[str, Any] = kept["result"]
            return result
        words = ["evaluate", str(record.folder.path), "--json", "--measures", *measures, "--limit", str(limit)]
        words += ["--attack-examples", str(attack_examples), "--bank", str(bank)]
        words += ["--epsilon", *map(str, epsilons)]
        done = subprocess.run(
            [sys.executable, "-m", "mmgan", *words], capture_output=True, text=True, env=environment(threads)
        )
        if done.returncode:
            raise TrainingFailed(f"mmgan {' '.join(words)}: {(done.stderr.strip() or 'it said nothing')[-500:]}")
        result = json.loads(done.stdout)
        write_atomically(path, json.dumps({"asked": asked, "result": result}) + "\n")
        return result

    runs = [(name, record) for name, of in records.items() for record in of]
    with ThreadPoolExecutor(place.jobs) as pool:
        results = list(
            tqdm(pool.map(one, [record for _, record in runs]), total=len(runs), desc="evaluate", unit="run")
        )
    by_arm: dict[str, list[dict[str, Any]]] = {name: [] for name in records}
    for (name, _), result in zip(runs, results, strict=True):
        by_arm[name].append(result)
    return by_arm


def clean_accuracy(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[float]]:
    """Accuracy in percent on test images that nothing was done to, by arm, from what `evaluate` returned."""
    return {name: [100 - result["test_error_percent"] for result in of] for name, of in results.items()}
