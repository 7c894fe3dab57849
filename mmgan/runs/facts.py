"""What a run must not change under way: kept with each checkpoint and compared on resume."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from mmgan.errors import UserError


def run_facts(groups: Sequence[Any], *, seed: int, data_digest: str, processes: int) -> dict[str, Any]:
    """The settings in these groups and what else decides the numbers, as plain values.

    Args:
        groups: the configuration's groups that training depends on.
        seed: of all draws.
        data_digest: of the training images and labels.
        processes: how many share a batch.
    """
    settings: dict[str, Any] = {"seed": seed}
    for group in groups:
        settings |= {
            k: v if v is None or isinstance(v, (bool, int, float)) else str(v) for k, v in asdict(group).items()
        }
    return {"settings": settings, "data_digest": data_digest, "processes": processes, "mmgan": version("mmgan")}


IRRELEVANT = ("data_root", "download")
"""Settings that may change: where data lies does not matter, its digest does."""


def refuse_changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run under other conditions than it was started with.

    Raises:
        UserError: listing every difference.
    """
    before, after = _plain(saved), _plain(now)
    changes = [
        f"{key} was {before.get(key)}, is {after.get(key)}" for key in after if before.get(key) != after.get(key)
    ]
    if changes:
        raise UserError(f"the run cannot be resumed with other settings: {'; '.join(changes)}")


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = {key: value for key, value in facts["settings"].items() if key not in IRRELEVANT}
    return settings | {key: facts[key] for key in ("data_digest", "processes", "mmgan")}
