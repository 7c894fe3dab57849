"""The comparison on Fashion-MNIST: its sixteen seeds, the ten of the repeat, and all together.

mmgan sweep configs/sweep/fashion-mnist-repeat.yaml --jobs 2
python docs/scripts/fashion_repeat.py runs/sweeps/fashion-mnist-repeat

It reads results/gan/results.json and the runs of the sweep, and writes results/gan/fashion-repeat.json and .md.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgan.analysis.seeds import paired_difference
from mmgan.errors import UserError
from mmgan.experiments.framework.machine import commit, machine, versions
from mmgan.experiments.framework.tables import markdown_table
from mmgan.report.entries import FID, IS, KID, extractor_text
from mmgan.runs.folder import RunFolder
from mmgan.sweeps.definition import path_name

RESULTS = Path(__file__).parents[2] / "results/gan"
NONE, MIX = "none", "1,2,pixel alpha 0.5"
FOLDERS = {NONE: "baseline", MIX: path_name(MIX)}
SEEDS, STEPS = range(1000, 1010), 300

Values = Mapping[str, Mapping[str, Sequence[float]]]
"""A metric's name -> an arm's name -> a value for each seed."""


def repeated(folder: Path) -> dict[str, Any]:
    """The scores of the sweep's runs, and what they depend on.

    Raises:
        UserError: if a run is missing, or the runs have several judges.
    """
    entries = {arm: [_entry(folder / name / f"seed{seed}") for seed in SEEDS] for arm, name in FOLDERS.items()}
    judges = {extractor_text(entry) for of in entries.values() for entry in of}
    if len(judges) > 1:
        raise UserError(f"the runs in {folder} have several judges: {'; '.join(sorted(judges))}")
    return {
        "seeds": list(SEEDS),
        "extractor": judges.pop(),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "values": {
            metric.name: {arm: [metric.value(entry) for entry in of] for arm, of in entries.items()}
            for metric in (FID, IS, KID)
        },
    }


def _entry(run: Path) -> Mapping[str, Any]:
    entry: Mapping[str, Any] | None = RunFolder(run).read_scores().get("last")
    if entry is None or entry["step"] != STEPS:
        raise UserError(f"{run} is not finished: run the sweep again")
    return entry


def table(first: Values, again: Values) -> str:
    """Every metric's paired difference over the first seeds, the new ones and all, as Markdown."""
    rows = []
    for name, new in again.items():
        old = first.get(name)
        groups = {"new seeds": new} if old is None else {"first seeds": old, "new seeds": new}
        if old is not None:
            groups["all"] = {arm: [*old[arm], *new[arm]] for arm in (NONE, MIX)}
        for group, values in groups.items():
            d = paired_difference(values[MIX], values[NONE])
            digits = 4 if name == KID.name else 3
            interval = f"{d.mean:+.{digits}f} [{d.low:+.{digits}f}, {d.high:+.{digits}f}]"
            rows.append((name, group, str(d.n), interval, "undecided" if d.low <= 0 <= d.high else "decided"))
    return "\n".join(markdown_table(("score", "seeds", "n", f"{MIX} against {NONE}", "0 outside"), rows)) + "\n"


if __name__ == "__main__":
    made = repeated(Path(sys.argv[1]))
    known = json.loads((RESULTS / "results.json").read_text())["values"]["gan-fashion"]
    text = table(known["values"], made["values"])
    judges = f"Judges: {known['extractor']} (first seeds), {made['extractor']} (new seeds).\n"
    (RESULTS / "fashion-repeat.json").write_text(json.dumps(made, indent=1) + "\n")
    (RESULTS / "fashion-repeat.md").write_text(f"{text}\n{judges}")
    print(text, judges, sep="\n")
