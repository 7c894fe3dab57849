"""The conditions that a run must not change: saved with each checkpoint and compared on resume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import Any

from mmgan.config.shared import RunSettings
from mmgan.errors import UserError


def run_facts(
    values: Mapping[str, Any], *, data_digest: str, processes: int, code: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The settings that training depends on and everything else that decides the numbers, as plain values.

    Args:
        values: all settings of the run.
        data_digest: of the training images and labels.
        processes: how many share a batch.
        code: of networks that are the user's own: what it is -> its name, digest or version.
    """
    unrelated = {f.name for f in fields(RunSettings)} - {"seed"}
    settings = {name: value for name, value in values.items() if name not in unrelated}
    facts = {"settings": settings, "data_digest": data_digest, "processes": processes} | versions()
    return facts | ({"code": dict(code)} if code else {})


def versions() -> dict[str, str]:
    """The installed versions of the packages that decide the numbers."""
    return {package: version(package) for package in ("mmgan", "torch")}


IRRELEVANT = (
    *("data_root", "download", "score_every", "sample_every", "diagnose_every", "extractor_weights"),
    *("generator", "discriminator"),
)
"""Settings that may change: the place of the data or of the user's own networks, and how often a run is scored or
diagnosed. The digests of the data and of the networks' code are compared instead, and each score is saved with the
digest of its extractor's weights."""

OPTIONAL = {
    "extractor_digest": "the digest of the extractor's weights",
    "real_digest": "the digest of the real images of scores",
    "precision": "the precision",
}
"""What a checkpoint may lack: scores may be off, and earlier versions did not save it. Compared where both have it."""

NAMES = {
    "data_digest": "the data's digest",
    "processes": "the number of processes",
    "mmgan": "mmgan's version",
    "torch": "torch's version",
}


def list_changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every difference between the conditions of a checkpoint and the current ones, one line each. More steps are none:
    `Extension` has them."""
    before, after = _plain(saved), _plain(now)
    if find_extension(saved, now):
        del before["steps"], after["steps"]
    for key in OPTIONAL:
        if saved.get(key) is not None and now.get(key) is not None:
            before[key], after[key] = saved[key], now[key]
    return [
        f"{(NAMES | OPTIONAL).get(key, key)} was {before.get(key)}, is {after.get(key)}"
        for key in [*after, *(key for key in before if key not in after)]
        if before.get(key) != after.get(key)
    ]


def code_changes(saved: Mapping[str, Any], code: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each difference between a run's code and the code that is now to use its weights."""
    before = _code(saved)
    return tuple(
        f"{name} was {before.get(name)}, is {value}" for name, value in code.items() if before.get(name) != value
    )


@dataclass(frozen=True)
class Extension:
    """A run that resumes with more steps than it was begun with.

    With a constant learning rate it is the run that was begun with all of them, bit by bit. A rate that falls over all
    steps was lower so far than in such a run, and is so high again from here on.

    Attributes:
        before, after: the numbers of steps.
        falls_from: the learning rate at step 0 where it falls linearly over all steps; else None.
    """

    before: int
    after: int
    falls_from: float | None

    def in_words(self, step: int) -> str:
        """What happens from `step` on."""
        line = f"steps was {self.before}, is {self.after}"
        if self.falls_from is None:
            return line
        there, here = (self.falls_from * (1 - step / steps) for steps in (self.before, self.after))
        return f"{line}: the learning rate at step {step} is {here:.3g}, not {there:.3g}, and falls to 0 anew"


def find_extension(saved: Mapping[str, Any], now: Mapping[str, Any]) -> Extension | None:
    """The extension between the conditions of a checkpoint and the current ones, or None."""
    before, after = (_plain(facts).get("steps") for facts in (saved, now))
    if not isinstance(before, int) or not isinstance(after, int) or after <= before:
        return None
    settings = now["settings"]
    return Extension(before, after, settings["lr"] if settings.get("lr_decay") == "linear" else None)


def list_edits(saved: Mapping[str, Any], settings: Mapping[str, Any], data_digest: str | None = None) -> list[str]:
    """Every difference between what a checkpoint was made with and what a reader is about to use it with.

    Args:
        saved: the facts of the checkpoint.
        settings: all settings in config.yaml. Only those that the checkpoint knows count.
        data_digest: of the training data; None: not compared.
    """
    known = saved.get("settings")
    known = known if isinstance(known, Mapping) else {}
    now = {name: value for name, value in settings.items() if name in known}
    before = {"settings": {name: known[name] for name in now}}
    digests = {} if data_digest is None else {"data_digest": data_digest}
    return list_changes(before | {k: saved.get(k) for k in digests}, {"settings": now} | digests)


def refuse_changes(changes: Sequence[str]) -> None:
    """Refuse to resume a run under conditions other than those of its start.

    Raises:
        UserError: listing every difference, if there is one.
    """
    if changes:
        raise UserError(
            f"the run cannot be resumed with other settings: {'; '.join(changes)}; to resume it anyway, add"
            " --allow-changed, which scores.json then says"
        )


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = facts.get("settings")
    plain = settings if isinstance(settings, Mapping) else {}
    return (
        {key: value for key, value in plain.items() if key not in IRRELEVANT}
        | {key: facts.get(key) for key in NAMES}
        | _code(facts)
    )


def _code(facts: Mapping[str, Any]) -> dict[str, Any]:
    code = facts.get("code")
    return dict(code) if isinstance(code, Mapping) else {}
