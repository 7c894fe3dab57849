"""The model card of an exported generator: README.md as model hubs show it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmgan.report.entries import judge_text, metrics_of, plain_text

PRIVATE = {"out", "data_root", "extractor_weights", "resume", "overwrite", "allow_changed", "dry_run", "download"}
"""Settings that belong to the machine: paths, and how the run was started."""


def model_card(
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
    entry: Mapping[str, Any] | None,
    license_name: str,
    samples: str,
) -> str:
    """The card as Markdown.

    Args:
        settings: the run's.
        facts: what config.json of the export holds.
        entry: the scores of this checkpoint; None: it was not scored.
        license_name: an identifier of the hub, such as "mit" or "unknown".
        samples: the name of the sample grid.
    """
    data = _public(settings["data"])
    own = f', generator="{facts["generator"]}"' if facts["generator"] else ""
    names = facts.get("class_names")
    y = "" if names is None else f", torch.randint({len(names)}, (16,))"
    front = {
        "license": license_name,
        "library_name": "mmgan",
        "pipeline_tag": "unconditional-image-generation" if names is None else "other",
        "tags": ["gan", "manifold-mixup"],
    }
    size, step = facts["image_size"], facts["step"]
    mixing = "without mixing" if settings["mix"] == "none" else f"mixed at layers {settings['mix']}"
    weights = "the exponential average of its weights" if facts["averaged"] else "its weights"
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# GAN on {data}, {size}x{size}",
        f"The generator of a GAN, {weights} after {step:,} generator steps. The discriminator was trained {mixing}, by"
        f" mmgan {facts['mmgan']} with torch {facts['torch']}.",
        f"![samples]({samples})",
        "## Use",
        f'```python\nimport mmgan, torch\n\ngenerator = mmgan.load_generator("this-folder"{own})\n'
        f"images = generator(torch.randn(16, {facts['latent_dim']}){y})  # (16, {facts['channels']}, {size}, {size})"
        " in [-1, 1]\n```",
        *([] if names is None else [f"Classes, from 0: {', '.join(map(plain_text, names))}."]),
        "## Scores",
        _scores(entry),
        "## Settings",
        f"```yaml\n{yaml.safe_dump(_settings(settings), sort_keys=False)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "This checkpoint was not scored."
    if entry.get("reason"):
        return f"No scores: {entry['reason']}"
    rows = [
        f"| {metric.name} {metric.better} | {metric.text(metric.value(entry), metric.deviation(entry))} |"
        for metric in metrics_of(entry)
    ]
    judged = f"By extractor {judge_text(entry)}. ± is the deviation within one scoring, not over seeds."
    notes = [f"Note: {note}" for note in entry.get("notes", [])]
    return "\n".join(["| score | value |", "| --- | ---: |", *rows, "", judged, *notes])


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    public = {name: value for name, value in settings.items() if name not in PRIVATE}
    own = {name: Path(public[name]).name for name in ("generator", "discriminator") if public.get(name)}
    return public | own | {"data": _public(settings["data"])}


def _public(data: str) -> str:
    """A data set's name without the path of a folder."""
    return f"folder:{Path(data).name}" if data.startswith("folder:") else plain_text(data)
