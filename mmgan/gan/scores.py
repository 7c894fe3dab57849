"""The scores of a generator, and an entry of scores.json in one line."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from mmgan.config.gan import GanScoreSettings
from mmgan.config.protocols import CUSTOM
from mmgan.config.shared import DataSettings
from mmgan.data import Images, draw_images
from mmgan.errors import UserError
from mmgan.gan.classes import Classes, SampleClasses
from mmgan.gan.samples import run_source
from mmgan.memory import check_fits
from mmgan.process.stopping import StopRequests
from mmgan.report.entries import metrics_of, protocol_of
from mmgan.scoring import (
    Extractor,
    Features,
    NonFiniteSamples,
    Processes,
    Reference,
    ScoreSettings,
    extract,
    extractor_source,
    real_features,
    score_entry,
    score_features,
    state_digest,
)
from mmgan.scoring.by_class import ClassScores, class_notes, score_classes
from mmgan.storage import cache_folder
from mmgan.supervised.judges import JUDGED, judge_extractor

CLASSIFIER = "classifier"
"""The extractor that is this project's own; `mmgan.scoring` has the others."""


def find_weights(score: GanScoreSettings, data: DataSettings) -> Path | None:
    """The weights file of the extractor, or None for this project's own classifier.

    It needs no data, so that scores that would fail are refused at once.

    Raises:
        UserError: if the extractor does not exist for this data, or its weights cannot be found.
    """
    if score.extractor != CLASSIFIER:
        source = extractor_source(score.extractor, score.resize)
        return source.find(score.extractor_weights, download=data.download)
    if score.resize is not None:
        raise UserError(f"--resize {score.resize} is not for the extractor 'classifier': leave it out")
    if data.data not in JUDGED:
        raise UserError(
            f"--extractor classifier judges {', '.join(JUDGED)}, not {data.data}: use --extractor inception,"
            " or --score-every 0 for no scores"
        )
    return None


@dataclass
class GanScorer:
    """Scores a generator on all processes.

    Attributes:
        wanted: how many images are generated, and which scores are computed.
        real: the images that they are compared with.
        weights: as `find_weights` returned it.
        data_root: where the judge finds its training images.
        latent_dim: dimensions of the generator's input.
        seed: of the latents.
        averaged: whether the generator is an average; saved with the scores.
        accelerator: the run's.
        stop: ends scoring when signals ask for it; None: signals are not watched.
        classes: of a conditional run; its samples have the training images' shares of them.
        by_class: score the images of each class alone too.
        extractor: set by `prepare`.
        reference: the features of the real images, set by `prepare`, on the main process alone.

    Raises:
        UserError: if there are too few images for these scores.
    """

    wanted: GanScoreSettings
    real: Images
    weights: Path | None
    data_root: str
    latent_dim: int
    seed: int
    averaged: bool
    accelerator: Accelerator
    stop: StopRequests | None = None
    classes: Classes | None = None
    by_class: bool = False
    extractor: Extractor = field(init=False)
    reference: Reference | None = field(init=False)

    def __post_init__(self) -> None:
        self.real = real_subset(self.real, self.wanted)
        self.settings = ScoreSettings(
            splits=self.wanted.is_splits,
            prc=self.wanted.precision_recall,
            density=self.wanted.density_coverage,
            infinite=self.wanted.fd_infinite,
            mmd=self.wanted.mmd,
            intervals=self.wanted.intervals,
        )
        self.settings.check(self.wanted.score_samples, len(self.real))
        if self.by_class and self.classes is None:
            raise UserError("--by-class needs a conditional run: this one's samples have no classes")
        self._check_memory(1)  # as many as an extractor has at least; `prepare` knows how many they are

    def _check_memory(self, dims: int) -> None:
        count = self.wanted.score_samples
        check_fits(4 * count * dims, f"features of {count:,} samples", "--score-samples or --samples")

    def prepare(self) -> None:
        """Load the extractor, or train it on first need, and compute the features of the real images."""
        self.extractor = make_extractor(
            self.wanted.extractor, self.weights, self.real, self.data_root, self.accelerator, self.wanted.resize
        )
        self._check_memory(self.extractor.dims)
        processes = Processes.of(self.accelerator)
        self.reference = real_features(
            self.real, self.extractor, cache_dir=cache_folder() / "features", processes=processes
        )

    def digests(self) -> dict[str, str]:
        """What the scores depend on besides the settings; after `prepare`."""
        return {"extractor_digest": self.extractor.digest, "real_digest": self.real.digest}

    def entry(self, generator: nn.Module, step: int) -> dict[str, Any]:
        """The entry of scores.json for this generator's scores; empty on all but the main process.

        Raises:
            Stopped: between two chunks of samples, on all processes, when asked to.
        """
        source = run_source(generator, self.latent_dim, self.seed, self.accelerator.device, self.classes)
        processes = Processes.of(self.accelerator)
        if self.stop is not None:
            processes = replace(processes, gather=partial(self.stop.gather, processes.gather))
        fakes, reason = None, None
        try:
            fakes = extract(source, self.wanted.score_samples, self.extractor, processes, what="samples")
        except NonFiniteSamples as error:
            reason = str(error)
        if self.reference is None:
            return {}
        scores, classes = None, None
        if fakes is not None:
            scores = score_features(fakes, self.reference, self.settings, extractor=self.extractor.name)
            classes = self._score_classes(fakes, self.reference) if self.by_class else None
            scores = replace(scores, notes=(*scores.notes, *class_notes(classes or {}, self.extractor.dims)))
        entry = score_entry(
            scores,
            self.settings,
            self.extractor,
            samples=self.wanted.score_samples,
            real=self.real.name,
            split=self.real.split,
            reals=len(self.real),
            device=self.accelerator.device,
            seed=self.seed,
            step=step,
            averaged=self.averaged,
            reason=reason,
            protocol=self.wanted.protocol,
            classes=classes,
        )
        entry["real"]["digest"] = self.real.digest
        return entry | {"weights": state_digest(generator)}

    def _score_classes(self, fakes: Features, reference: Reference) -> dict[str, ClassScores]:
        assert self.classes is not None
        assert self.real.labels is not None
        made = SampleClasses(self.classes.counts, self.seed)(0, len(fakes))
        of_fakes = [self.classes.names[k] for k in made.tolist()]
        of_reals = [self.real.classes[k] for k in self.real.labels.tolist()]
        read = self.real.classes if self.wanted.extractor == CLASSIFIER else None
        name = self.extractor.name
        return score_classes(fakes, reference, of_fakes, of_reals, self.settings, extractor=name, read=read)


def real_subset(images: Images, score: GanScoreSettings) -> Images:
    """The real images that --real-images and the protocol ask for; the same ones for every seed of a run.

    Raises:
        UserError: if there are fewer.
    """
    wanted = score.real_images
    if wanted is None or wanted == len(images):
        return images
    if wanted > len(images):
        asked = "--real-images" if score.protocol == CUSTOM else f"--protocol {score.protocol}"
        raise UserError(
            f"{asked} takes {wanted:,} real images, and {images.name} ({images.split}) has {len(images):,}: choose"
            f" --protocol {CUSTOM} and no more than these"
        )
    return draw_images(images, wanted, seed=0)


def make_extractor(
    name: str,
    weights: Path | None,
    images: Images,
    data_root: str,
    accelerator: Accelerator,
    resize: str | None = None,
) -> Extractor:
    """The extractor of this name with these weights, or the judge of this data, on the run's device."""
    if weights is None:
        return judge_extractor(images, data_root, accelerator)
    return extractor_source(name, resize).build(weights, accelerator.device)


def one_line(entry: dict[str, Any]) -> str:
    """The scores of an entry in one line, with their extractor."""
    if entry["reason"]:
        return f"no scores: {entry['reason']}"
    extractor = entry["extractor"]
    parts = []
    for metric in metrics_of(entry):
        low_high = metric.interval(entry)
        ends = "" if low_high is None else f" [{metric.text(low_high[0])}, {metric.text(low_high[1])}]"
        parts.append(f"{metric.name} {metric.text(metric.value(entry), metric.deviation(entry))}{ends}")
    how = f"extractor {extractor['name']}, {entry['samples']:,} samples, protocol {protocol_of(entry)}"
    return f"{', '.join(parts)}  ({how})"
