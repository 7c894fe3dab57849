"""Scores of a GAN run: which extractor, when, and what is written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from mmgan.config.gan import GanConfig
from mmgan.data import Images
from mmgan.errors import UserError
from mmgan.process.accelerator import on_main
from mmgan.process.inputs import load_split
from mmgan.process.stopping import StopRequests
from mmgan.runs.folder import RunFolder
from mmgan.scoring import (
    Extractor,
    InceptionExtractor,
    NonFiniteSamples,
    Processes,
    Reference,
    ScoreSettings,
    extract,
    find_inception_weights,
    image_source,
    manifest,
    real_features,
    score_features,
)
from mmgan.storage import cache_folder
from mmgan.supervised.judges import JUDGED, judge_extractor

FID = "frechet_inception_distance"


def check_scoring(config: GanConfig) -> None:
    """Refuse, before any data or training work, scores that could not be had in the end.

    Raises:
        UserError: if the extractor does not exist for this data or its weights are not to be had.
    """
    score = config.score
    if not score.score_every:
        return
    if score.extractor == "inception":
        find_inception_weights(score.inception_weights, download=config.data.download)
    elif config.data.data not in JUDGED:
        raise UserError(
            f"--extractor classifier judges {', '.join(JUDGED)}, not {config.data.data}: use --extractor inception,"
            " or --score-every 0 for no scores"
        )


@dataclass
class GanScorer:
    """Scores the generator on all processes and notes the result in the run folder.

    Attributes:
        reference: the real side; on the main process alone.
        stop: what signals ask for; None: they are not listened to.
        line: what there is to say of the last scores.
    """

    config: GanConfig
    accelerator: Accelerator
    images: Images
    extractor: Extractor
    settings: ScoreSettings
    reference: Reference | None
    stop: StopRequests | None = None
    line: str = ""

    def score(
        self,
        generator: nn.Module,
        step: int,
        folder: RunFolder,
        *,
        changed: Sequence[str],
        keep_best: Callable[[], None],
    ) -> None:
        """Score and write scores.json; all processes call it.

        Args:
            generator: to be scored.
            step: its step.
            folder: the run's.
            changed: what --allow-changed let pass in the run's life; it stands beside the scores.
            keep_best: called on all processes where this is the lowest FID so far, before scores.json says so: a run
                that is killed between the two scores this step again.

        Raises:
            StorageFailed: on all processes, if scores.json cannot be written.
        """
        entry = self.entry(generator, step)
        scores: dict[str, Any] = {}

        def compare() -> bool:
            self.line = f"step {step}: {one_line(entry)}"
            last = entry | {"changed": list(changed)}
            history = [old for old in folder.read_scores().get("history", []) if old["step"] < step] + [last]
            scores.update(last=last, best=_best(history), history=history)
            return scores["best"] is last

        if on_main(self.accelerator, compare):
            keep_best()
        on_main(self.accelerator, lambda: folder.write_scores(scores))

    def entry(self, generator: nn.Module, step: int) -> dict[str, Any]:
        """The manifest of this generator's scores; empty on all but the main process.

        Raises:
            Stopped: between two chunks of samples, on all processes, when asked to.
        """
        source = image_source(generator, self.config.networks.latent_dim, self.config.run.seed, self.accelerator.device)
        count, processes = self.config.score.score_samples, Processes.of(self.accelerator)
        if self.stop is not None:
            processes = replace(processes, gather=partial(self.stop.gather, processes.gather))
        fakes, reason = None, None
        try:
            fakes = extract(source, count, self.extractor, processes, what="samples")
        except NonFiniteSamples as error:
            reason = str(error)
        if self.reference is None:
            return {}
        return manifest(
            None if fakes is None else score_features(fakes, self.reference, self.settings),
            self.settings,
            self.extractor,
            samples=count,
            real=self.images.name,
            split=self.images.split,
            reals=len(self.images),
            device=self.accelerator.device,
            seed=self.config.run.seed,
            step=step,
            averaged=self.config.training.ema > 0,
            reason=reason,
        )


def _best(history: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    finite = [entry for entry in history if entry["scores"][FID] is not None]
    return min(finite, key=lambda entry: float(entry["scores"][FID]), default=None)


def cut_scores(folder: RunFolder, step: int) -> bool:
    """Drop the scores after `step` from scores.json, which a resumed run makes again; whether `step` has none.

    Raises:
        StorageFailed: if scores.json cannot be written.
    """
    history = folder.read_scores().get("history", [])
    kept = [entry for entry in history if entry["step"] <= step]
    if len(kept) < len(history) and kept:
        folder.write_scores({"last": kept[-1], "best": _best(kept), "history": kept})
    elif len(kept) < len(history):
        folder.scores_file.unlink()
    return not kept or kept[-1]["step"] != step


def make_scorer(
    config: GanConfig, images: Images, accelerator: Accelerator, stop: StopRequests | None = None
) -> GanScorer | None:
    """The scorer of a run, its extractor loaded (or trained on first need) and its real features computed; None with
    score_every 0. With `stop`, scoring ends when signals ask for it. Errors as in `reference_images`.
    """
    score = config.score
    if not score.score_every:
        return None
    settings = score_settings(config)
    real = reference_images(config, images, accelerator)
    extractor = make_extractor(config, real, accelerator)
    reference = real_features(
        real, extractor, cache_dir=cache_folder() / "features", processes=Processes.of(accelerator)
    )
    return GanScorer(config, accelerator, real, extractor, settings, reference, stop)


def score_settings(config: GanConfig) -> ScoreSettings:
    """How scores are computed, as the run's settings have it."""
    return ScoreSettings(splits=config.score.is_splits, prc=config.score.precision_recall)


def reference_images(config: GanConfig, images: Images, accelerator: Accelerator) -> Images:
    """The real images that are scored against; `images` are the training ones.

    Raises:
        UserError: if there is no such split, or there are too few images for these scores.
    """
    split = config.score.real_split
    real = images if split == images.split else load_split(config.data, split, accelerator)
    score_settings(config).check(config.score.score_samples, len(real))
    return real


def make_extractor(config: GanConfig, images: Images, accelerator: Accelerator) -> Extractor:
    """The extractor that the settings name, on the run's device."""
    if config.score.extractor == "classifier":
        return judge_extractor(images, config.data.data_root, accelerator)
    weights = find_inception_weights(config.score.inception_weights, download=config.data.download)
    return InceptionExtractor(weights, accelerator.device)


def one_line(entry: dict[str, Any]) -> str:
    """A manifest's scores in one line, with their extractor."""
    if entry["reason"]:
        return f"no scores: {entry['reason']}"
    scores, extractor = entry["scores"], entry["extractor"]
    parts = [
        f"IS {scores['inception_score_mean']:.3f} ± {scores['inception_score_std']:.3f}",
        f"FID {scores[FID]:.3f}",
        f"KID {scores['kernel_inception_distance_mean']:.5f} ± {scores['kernel_inception_distance_std']:.5f}",
    ]
    if "precision" in scores:
        parts.append(f"precision {scores['precision']:.3f}, recall {scores['recall']:.3f}")
    return f"{', '.join(parts)}  (extractor {extractor['name']}, {entry['samples']:,} samples)"


def summary(config: GanConfig, folder: RunFolder) -> str:
    """What a run ends by saying: the scores with their extractor, the facts, and the paths of what was written."""
    scores = folder.read_scores()
    lines = []
    if scores:
        last, best = scores["last"], scores["best"]
        real, extractor = last["real"], last["extractor"]
        lines.append(f"last   {one_line(last)}")
        if best is not None and best["step"] != last["step"]:
            lines.append(f"best   {one_line(best)}, step {best['step']}")
        lines.append(
            f"scored against {real['images']:,} images of {real['name']} ({real['split']}) with extractor"
            f" {extractor['name']}, weights {extractor['digest'][:12]}"
        )
        if extractor["name"] != "inception":
            lines.append("these are not Inception scores: compare them with others of this extractor alone")
        lines += [f"note: {note}" for note in last["notes"]]
    mix = config.mix
    mixing = f"layers {mix.mix}, alpha {mix.alpha:g}" if mix.mix != "none" else "none (the baseline)"
    lines.append(f"mixing: {mixing}; {config.training.steps} steps; seed {config.run.seed}")
    for what, path in _written(folder):
        lines.append(f"{what:12} {path}")
    return "\n".join(lines)


def _written(folder: RunFolder) -> list[tuple[str, Path]]:
    grids = sorted(folder.samples.glob("*.png"))
    checkpoints = sorted(folder.checkpoints.glob("step-*"))
    paths = [
        ("samples", grids[-1] if grids else None),
        ("scores", folder.scores_file),
        ("metrics", folder.metrics_file),
        ("checkpoint", checkpoints[-1] if checkpoints else None),
        ("best", folder.checkpoints / "best"),
        ("report", folder.report_file),
    ]
    return [(what, path) for what, path in paths if path is not None and path.exists()]
