"""The state of a run: what exists and what is left to do."""

from typing import Literal

from mmgan.errors import UserError
from mmgan.report.entries import plain_text
from mmgan.report.means import WITHOUT_EFFECT
from mmgan.sweeps.definition import Run

State = Literal["done", "to resume", "to do"]

MAY_DIFFER = (WITHOUT_EFFECT - {"seed"}) | {"extractor_weights"}
"""Settings in which an existing run may differ from the requested one: the places of files, and how often a run is
observed. scores.json identifies an extractor's weights by their digest."""

SHOWN = 3
"""The most differences that a refusal names."""


def find_state(run: Run) -> State:
    """Whether the run is done, can continue from a checkpoint, or has to start from the beginning.

    Raises:
        UserError: if its folder holds a run with other settings, something else than a run, or damaged files.
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
    """Whether the run has ended: a classifier is tested only at the end; a GAN is scored there if scoring is on.

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
