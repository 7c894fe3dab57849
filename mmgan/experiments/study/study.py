"""`mmgan reproduce regularizers-gan`: finishes the study and reports the runs so far."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgan.analysis.power import detectable_effect
from mmgan.experiments.framework.outcome import Outcome, Place
from mmgan.experiments.framework.verdicts import conclude
from mmgan.experiments.study.arms import ARMS
from mmgan.experiments.study.effects import effects, measures, median_cpu_minutes, summary
from mmgan.experiments.study.plan import EFFECT, STRENGTH, Plan, Planned
from mmgan.experiments.study.protocol import Protocol, protocol_of
from mmgan.experiments.study.rows import append_row, read_rows
from mmgan.experiments.study.runs import batches, check_inputs, keep_samples, run_batch
from mmgan.experiments.study.study_figures import curves, forest, samples

ROWS = "rows.jsonl"


def run(place: Place) -> Outcome:
    """Run the study's runs that have no row yet, in the order of the plan, then compare the arms that are complete."""
    protocol, path = protocol_of(place), place.folder / ROWS
    end = None if place.minutes is None else time.monotonic() + 60 * place.minutes
    _run_all(place, protocol, path, end)
    return _report(place, protocol, Plan(protocol, read_rows(path)))


def strip_path(folder: Path, arm: str, images: int) -> Path:
    """The strip of an arm's samples."""
    return folder / f"samples-{images}-{re.sub(r'[^a-zA-Z0-9]+', '-', arm)}.png"


def _run_all(place: Place, protocol: Protocol, path: Path, end: float | None) -> None:
    for k in range(len(list(Plan(protocol, read_rows(path)).stages()))):
        plan = Plan(protocol, read_rows(path))  # a main stage depends on the rows of the stages before it
        left = [one for one in list(plan.stages())[k] if plan.row_of(one) is None]
        if left and (end is None or time.monotonic() < end):
            check_inputs(place, protocol, left[0])
        for batch in batches(left, place.jobs):
            rows = read_rows(path)
            spent = sum(row.cpu_seconds for row in rows) / 3600
            if end is not None and time.monotonic() >= end:
                place.say(f"{len(left)} runs of this stage were left when time was over: the same command goes on")
                return
            if protocol.cpu_hours is not None and spent >= protocol.cpu_hours:
                place.say(f"the study's {protocol.cpu_hours:g} CPU hours are spent: what is left is not run")
                return
            for row, folder in run_batch(place, protocol, batch):
                append_row(path, row)
                strip = strip_path(place.folder, row.arm, row.images)
                if row.phase == "main" and not strip.exists():
                    keep_samples(folder, strip)


def _report(place: Place, protocol: Protocol, plan: Plan) -> Outcome:
    outcome = Outcome([], {}, [])
    counted = _counts(plan)
    outcome.notes.append(
        "Runs that exist: " + ", ".join(f"{what} {n} of {m}" for what, (n, m) in counted.items()) + "."
    )
    if plan.rows:
        hours = sum(row.cpu_seconds for row in plan.rows) / 3600
        outcome.notes.append(
            f"{len(plan.rows)} runs took {hours:.1f} CPU hours, a run {median_cpu_minutes(plan.rows):.1f} minutes"
            " (median, start and judging included); their commits:"
            f" {', '.join(sorted({row.commit or 'unknown' for row in plan.rows}))}."
        )
    outcome.notes.extend(_power(plan))
    outcome.values.update(
        data=protocol.data,
        runs={what: list(of) for what, of in counted.items()},
        settings={
            name: value for name, value in protocol.settings.items() if name not in ("data", "extractor_weights")
        },
    )
    groups = [[name for name in protocol.arms if ARMS[name].first == first] for first in (True, False)]
    complete = [
        name
        for group, first in zip(groups, (True, False), strict=True)
        for name in group
        if _done(plan.main(first=first), plan)
    ]
    if complete:
        _compare(place, protocol, plan, complete, outcome)
    else:
        runs, all_runs = (sum(of[k] for of in counted.values()) for k in (0, 1))
        what = (
            f"{protocol.data}: planned runs that exist; nothing is concluded before all arms that come first are done"
        )
        outcome.findings.append(conclude(what, "", f"{runs} of {all_runs}", max(runs, 1), None))
    return outcome


def _compare(place: Place, protocol: Protocol, plan: Plan, arms: Sequence[str], outcome: Outcome) -> None:
    rows = [row for row in plan.rows if row.phase == "main"]
    outcomes = measures([judge.extractor for judge in protocol.test])
    found = effects(rows, arms, protocol.sizes, outcomes)
    outcome.findings.extend(effect.finding for effect in found)
    chosen = {(arm, images): _chosen_text(plan, arm, images) for images in protocol.sizes for arm in arms}
    outcome.values["summary"] = summary(rows, found, chosen, outcomes)
    main = [effect for effect in found if effect.measure == outcomes[0]]
    for effect in main:
        d = effect.difference
        share = detectable_effect(d.sd, d.n)
        outcome.values.setdefault("detectable", {})[f"{effect.images} images, {effect.arm} - {effect.against}"] = share
    figures = [place.folder / f"regularizers-gan-{name}.png" for name in ("forest", "curves", "samples")]
    forest(main, figures[0], f"{protocol.data}: {outcomes[0].name}, paired seeds, 95 % intervals")
    curves(rows, arms, protocol.sizes, figures[1])
    samples(lambda arm, images: strip_path(place.folder, arm, images), arms, protocol.sizes, figures[2])
    outcome.figures.extend(path.name for path in figures)


def _counts(plan: Plan) -> dict[str, tuple[int, int]]:
    """A stage -> runs that exist, and all; a main stage whose seeds are not known yet counts the least."""
    found = {}
    for first, arms in ((True, "first arms"), (False, "further arms")):
        names = [name for name in plan.protocol.arms if ARMS[name].first == first]
        if not names:
            continue
        least = len(names) * len(plan.protocol.sizes) * plan.protocol.least
        stages: Mapping[str, Sequence[Planned]] = {
            **({"pilot": plan.pilot()} if first else {}),
            f"search of the {arms}": plan.search(first=first),
            f"main runs of the {arms}": plan.main(first=first),
        }
        for what, planned in stages.items():
            found[what] = sum(plan.row_of(one) is not None for one in planned), len(planned) or least
    return found


def _done(planned: Sequence[Planned], plan: Plan) -> bool:
    return bool(planned) and all(plan.row_of(one) is not None for one in planned)


def _power(plan: Plan) -> list[str]:
    notes = []
    for images in plan.protocol.sizes:
        if (found := plan.pilot_deviation(images)) is not None:
            mean, sd = found
            notes.append(
                f"Pilot, {images:,} images, n = {len(plan.protocol.pilot_seeds)}: FD {mean:.2f} without mixing; the"
                f" paired difference that mixing makes has a deviation of {sd:.2f}, so {EFFECT:.0%} of the FD takes"
                f" {plan.needed(images):,} seeds to show four times in five."
            )
    seeds = plan.main_seeds()
    return (
        notes
        if seeds is None
        else [*notes, f"By this the main runs have {len(seeds)} seeds, {seeds[0]} to {seeds[-1]}."]
    )


def _chosen_text(plan: Plan, arm: str, images: int) -> str:
    settings: Mapping[str, Any] = plan.chosen(arm, images) or {}
    return ", ".join(f"{name} {settings[name]}" for name in STRENGTH if name in settings)
