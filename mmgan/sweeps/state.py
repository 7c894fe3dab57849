"""What there is of a run, and what is left to do."""

from typing import Literal

from mmgan.errors import UserError
from mmgan.report.entries import plain_text
from mmgan.report.means import WITHOUT_EFFECT
from mmgan.sweeps.definition import Run

State = Literal["done", "to resume", "to do"]

MAY_DIFFER = (WITHOUT_EFFECT - {"seed"}) | {"extractor_weights"}
"""Settings in which a run that is there may differ from the one that is asked for: where things lie, and how often a
run is watched. The weights of an extractor stand in scores.json by their digest."""

SHOWN = 3
"""Differences that a refusal names."""


def find_state(run: Run) -> State:
    """Whether the run is done, can go on from a checkpoint, or has to be begun, anew where it left no checkpoint.

    Raises:
        UserError: if its folder holds a run with other settings, or something that is no run, or damaged files.
    """
    folder = run.folder
    if not folder.config_file.is_file():
        folder.check(resume=False, overwrite=False)
        return "to do"
    _refuse_other(run)
    if is_done(run):
        return "done"
    return "to resume" if any(folder.checkpoints.glob("step-*")) else "to do"


def is_done(run: Run) -> bool:
    """Whether the run came to its end: a classifier is tested there and only there; a GAN is scored, if it is at all.

    Raises:
        UserError: if scores.json is damaged.
    """
    scores = run.folder.read_scores()
    if "epochs" in run.config:
        return "last" in scores
    steps = int(run.config["steps"])
    if run.config["score_every"]:
        return int((scores.get("last") or {}).get("step", 0)) >= steps
    return (run.folder.checkpoints / f"step-{steps:08d}").is_dir()


def _refuse_other(run: Run) -> None:
    there = run.folder.read_config()
    names = [name for name in run.config if name not in MAY_DIFFER]
    changed = [name for name in names if there.get(name) != run.config[name]]
    if not changed:
        return
    listed = [
        f"{name} is {plain_text(there.get(name))} there and {plain_text(run.config[name])} here" for name in changed
    ]
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    raise UserError(
        f"{run.folder.path} holds a run with other settings ({'; '.join(listed[:SHOWN])}{more}): name another folder"
        " with out, or remove that one"
    )
