"""The content of scores.json of a GAN run: the last entry, the best one, and all before."""

import math
from collections.abc import Sequence
from typing import Any

from mmgan.report.entries import FID
from mmgan.report.means import judged_differently
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, read_facts
from mmgan.storage import storing

APART = ("step", "changes under way")
"""In what the scores of one run differ that are compared to choose the best."""


def next_scores(folder: RunFolder, entry: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What scores.json holds after this entry: the last one, the best one, and all up to its step.

    The best one has the lowest distance of those whose weights are kept: this one, and the one of `checkpoints/best`.

    Returns:
        The content, and why an earlier best one no longer counts, or None.
    """
    earlier = [old for old in folder.read_scores().get("history", []) if old["step"] < entry["step"]]
    rival, anew = kept_best(folder, earlier), None
    best = rival
    if FID.value(entry) is not None:
        if rival is not None:
            anew = judged_differently([rival, entry], apart=APART)
        if rival is None or anew or _distance(entry) < _distance(rival):
            best = entry
    return {"last": entry, "best": best, "history": [*earlier, entry]}, anew


def kept_best(folder: RunFolder, history: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The entry of the weights in `checkpoints/best`; None where there are none of these, or none that were scored."""
    best = folder.checkpoints / "best"
    if find_fault(best) is not None:
        return None
    facts = read_facts(best)
    of_step = [entry for entry in history if entry["step"] == facts["step"] and FID.value(entry) is not None]
    return next((entry for entry in of_step if entry.get("weights") == facts.get("scored")), None)


def lost_best(folder: RunFolder, step: int) -> dict[str, Any] | None:
    """The best entry of scores.json if its weights are not kept, but are those of this step; else None."""
    scores = folder.read_scores()
    if not scores or scores["best"] is not None:
        return None
    like_last = [e for e in scores["history"] if not judged_differently([scores["last"], e], apart=APART)]
    best = min((entry for entry in like_last if "weights" in entry), key=_distance, default=None)
    return best if best is not None and best["step"] == step and FID.value(best) is not None else None


def _distance(entry: dict[str, Any]) -> float:
    value = FID.value(entry)
    return math.inf if value is None else value


def cut_scores(folder: RunFolder, step: int) -> bool:
    """Drop the scores after `step` from scores.json, which a resumed run makes again, and a best one without weights.

    Returns:
        Whether the scores of `step` itself are missing.

    Raises:
        StorageFailed: if scores.json cannot be written.
    """
    scores = folder.read_scores()
    history = scores.get("history", [])
    kept = [entry for entry in history if entry["step"] <= step]
    if kept:
        now = {"last": kept[-1], "best": kept_best(folder, kept), "history": kept}
        if now != scores:
            folder.write_scores(now)
    elif history:
        with storing(folder.scores_file):
            folder.scores_file.unlink()
    return not kept or kept[-1]["step"] != step
