"""Train runs of the study by the real commands, test their best weights, and keep a row of each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmgan.errors import TrainingFailed
from mmgan.experiments.framework.machine import commit, machine, versions
from mmgan.experiments.framework.outcome import Place
from mmgan.experiments.framework.studies import check_data
from mmgan.experiments.study.plan import Planned
from mmgan.experiments.study.protocol import Judged, Protocol
from mmgan.experiments.study.rows import Row, kept_settings
from mmgan.gan.scores import CLASSIFIER
from mmgan.report.entries import FID, IS, KID, PRECISION, RECALL
from mmgan.runs.checkpoints import find_checkpoint
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import read_facts
from mmgan.scoring import extractor_source
from mmgan.sweeps.definition import Sweep, list_runs
from mmgan.sweeps.local import cores, environment
from mmgan.sweeps.running import run_sweep


def batches(planned: Sequence[Planned], jobs: int) -> Iterator[list[Planned]]:
    """As many runs at a time as there are jobs, of one seed each."""
    batch: list[Planned] = []
    for one in planned:
        if batch and (len(batch) == jobs or one.seed != batch[0].seed):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def run_batch(place: Place, protocol: Protocol, batch: Sequence[Planned]) -> list[tuple[Row, RunFolder]]:
    """Train and judge runs of one seed at the same time.

    Returns:
        The row and the folder of each.

    Raises:
        UserError: if data or weights are missing, or a folder holds another run.
        TrainingFailed: if a run or its scoring failed; the others are kept.
        Stopped: if a signal ended the runs; they go on from their checkpoints.
    """
    before = _children_seconds()
    result = run_sweep(_sweep(place, protocol, batch), jobs=place.jobs, say=place.say)
    if result.failed:
        raise TrainingFailed(f"{len(result.failed)} of {len(batch)} runs failed; the same command goes on")
    folders = {ended.run.arm: ended.run.folder for ended in result.runs}
    threads = max(1, cores() // place.jobs)
    with ThreadPoolExecutor(place.jobs) as pool:
        tested = list(pool.map(lambda one: _test(folders[one.label], protocol.test, place, threads), batch))
    cpu = (_children_seconds() - before) / len(batch)
    return [
        (_row(one, folders[one.label], test, round(cpu, 1)), folders[one.label])
        for one, test in zip(batch, tested, strict=True)
    ]


def check_inputs(place: Place, protocol: Protocol, one: Planned) -> None:
    """Refuse missing data or weights in one line, before any run.

    Raises:
        UserError: for what is missing.
    """
    check_data(list_runs(_sweep(place, protocol, [one]))[0].config)
    for judge in protocol.test:
        if judge.extractor != CLASSIFIER:
            extractor_source(judge.extractor).find(place.extractor_weights, download=place.scale == "paper")


def _sweep(place: Place, protocol: Protocol, batch: Sequence[Planned]) -> Sweep:
    return Sweep(
        trainer="gan",
        config=protocol.config,
        settings={},
        seeds=(batch[0].seed,),
        arms={one.label: one.settings for one in batch},
        baseline=None,
        folder=place.runs / "regularizers-gan" / batch[0].phase,
    )


def _test(folder: RunFolder, judges: Sequence[Judged], place: Place, threads: int) -> dict[str, dict[str, Any]]:
    """The scores of the best weights against test images, by extractor."""
    found = {}
    for k, judge in enumerate(judges):
        path = folder.path / f"test-{k}.json"
        words = ["score", str(folder.path), "--checkpoint", "best", "--real", "test", "--json", str(path)]
        words += ["--extractor", judge.extractor, "--samples", str(judge.samples), "--precision-recall"]
        words += [] if judge.real_images is None else ["--real-images", str(judge.real_images)]
        words += ["--download"] if place.scale == "paper" else []
        done = subprocess.run(
            [sys.executable, "-m", "mmgan", *words], capture_output=True, text=True, env=environment(threads)
        )
        if done.returncode:
            raise TrainingFailed(f"mmgan {' '.join(words)}: {(done.stderr.strip() or 'it said nothing')[-500:]}")
        entry = json.loads(path.read_text(encoding="utf-8"))
        found[judge.extractor] = {
            "digest": entry["extractor"]["digest"],
            "samples": entry["samples"],
            "real": entry["real"]["images"],
            "real_digest": entry["real"]["digest"],
            **_scores(entry),
            "precision": PRECISION.value(entry),
            "class_score": IS.value(entry),
        }
    return found


def _scores(entry: Mapping[str, Any]) -> dict[str, float | None]:
    return {"fd": FID.value(entry), "kid": KID.value(entry), "recall": RECALL.value(entry)}


def _row(planned: Planned, folder: RunFolder, test: Mapping[str, Any], cpu_seconds: float) -> Row:
    scores = folder.read_scores()
    r = {entry["step"]: entry["overfitting"] for entry in folder.read_diagnoses()}
    return Row(
        phase=planned.phase,
        arm=planned.arm,
        images=planned.images,
        seed=planned.seed,
        settings=kept_settings(planned.settings),
        commit=commit(),
        machine=machine(),
        versions=versions(),
        curve=[{"step": e["step"], **_scores(e), "r": r.get(e["step"])} for e in scores["history"]],
        best_step=scores["best"]["step"],
        test=test,
        cpu_seconds=cpu_seconds,
    )


def _children_seconds() -> float:
    """CPU time of the processes that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def keep_samples(folder: RunFolder, path: Path, count: int = 10) -> None:
    """Keep the first images of the run's last sample grid as a strip, in their own size."""
    from PIL import Image

    from mmgan.data.decode import load_image

    grid = load_image(max(folder.samples.glob("step-*.png")).read_bytes()).convert("RGB")
    size = int(read_facts(find_checkpoint(folder.checkpoints, "last"))["image_size"])
    columns = 8  # of a grid of 64 images; there is one pixel between them
    factor = grid.width // (columns * (size + 1) + 1)
    small = grid.resize((grid.width // factor, grid.height // factor), Image.Resampling.NEAREST)
    strip = Image.new("RGB", (count * size, size))
    for k in range(count):
        x, y = (1 + place * (size + 1) for place in (k % columns, k // columns))
        strip.paste(small.crop((x, y, x + size, y + size)), (k * size, 0))
    strip.save(path, optimize=True)
