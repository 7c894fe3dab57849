"""`mmgan score`: scores of a run, or of any images against any others."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.config.fields import SettingsGroup
from mmgan.config.gan import GanConfig, GanScoreSettings
from mmgan.config.protocols import CUSTOM, PROTOCOLS, Resize
from mmgan.config.shared import DataSettings
from mmgan.errors import UserError
from mmgan.process.program import program

if TYPE_CHECKING:
    from mmgan.scoring import ImageSet

Group = TypeVar("Group", bound=SettingsGroup)

MEASURES = {
    "precision_recall": "precision and recall",
    "density_coverage": "density and coverage",
    "fd_infinite": "the Frechet distance extrapolated to infinitely many samples",
    "mmd": "the maximum mean discrepancy with a Gaussian kernel",
    "intervals": "95 %% intervals of all scores but IS and KID",
    "by_class": "the scores of each class, of data sets with labels and of images in a folder for each class",
}
"""Flags that ask for more than the class score, Frechet distance and kernel distance."""


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    target = Path(arguments.target)
    is_run = (target / "config.yaml").is_file()
    if not is_run and arguments.real is None:
        what = "a folder of images (no config.yaml)" if target.is_dir() else "no run folder"
        raise UserError(f"{target} is {what}: name the real images with --real, a folder, .zip, .npz or data set")
    entry = _score_run(arguments) if is_run else _score_images(arguments)
    if not entry:
        return  # only the main process has the scores

    from mmgan.report.score_text import score_text
    from mmgan.storage import write_atomically

    print(score_text(entry))
    if arguments.json:
        write_atomically(Path(arguments.json), json.dumps(entry, indent=2, allow_nan=False) + "\n")
        print(arguments.json)


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="mmgan score",
        description="Scores of a run's generator, or of any images against any others. A run is scored with its own"
        " settings where no flag says otherwise. Other images are scored by the FID Inception, with the numbers of"
        " torch-fidelity's command, or by the extractor that is named. `accelerate launch -m mmgan score ...` shares"
        " the work among processes, with the same numbers.",
    )
    parser.add_argument(
        "target",
        metavar="RUN-or-IMAGES",
        help="a run folder; or images: a folder, a .zip, an .npz with one array (n, h, w, 3), hf:OWNER/NAME, or a"
        " data set as --data names it",
    )
    parser.add_argument(
        "--real", metavar="NAME", help="for a run: train, test or held-out of its data; else the real images"
    )
    parser.add_argument("--real-split", choices=["train", "test"], help="of a data set that --real names; unset: train")
    parser.add_argument("--image-size", type=int, help="for images of several sizes: resize their centred squares")
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    add_own_network(parser, "generator")
    parser.add_argument(
        "--protocol", choices=[CUSTOM, *PROTOCOLS], help="split and numbers of a published protocol; unset: custom"
    )
    parser.add_argument("--samples", dest="score_samples", type=int, help="generated images; unset: as the run scores")
    parser.add_argument("--real-images", type=int, help="number of real images of a run's data; unset: all")
    parser.add_argument("--seed", type=int, help="of the latents; unset: the run's")
    parser.add_argument("--is-splits", type=int, help="splits of the class score; unset: the run's, or 10")
    for flag, what in MEASURES.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", action="store_true", default=None, help=f"also {what}")
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        help="inception, vgg16, clip-vit-b-32, dinov2-vit-s-14 (b, l, g), timm:NAME, or for runs classifier; unset: the"
        " run's, or inception",
    )
    parser.add_argument(
        "--extractor-weights", metavar="FILE", help="weights of the extractor; unset: its library's cache"
    )
    parser.add_argument(
        "--resize", choices=get_args(Resize), help="to the extractor's size; unset: as the extractor is published"
    )
    parser.add_argument("--data-root", help="folder that holds the data sets; unset: the run's, or data")
    parser.add_argument("--download", action="store_true", help="fetch data and weights where they are absent")
    parser.add_argument(
        "--allow-changed",
        action="store_true",
        help="for a run: accept a config.yaml or data other than those of the checkpoint, and say so with the scores",
    )
    parser.add_argument("--json", metavar="FILE", help="write the scores with all that they depend on")
    return parser


def _score_run(arguments: argparse.Namespace) -> dict[str, Any]:
    from accelerate import Accelerator

    from mmgan.gan.build import real_images, training_images
    from mmgan.gan.classes import saved_classes
    from mmgan.gan.networks import load_generator
    from mmgan.gan.scores import GanScorer, find_weights
    from mmgan.process.meeting import meet
    from mmgan.runs.data import load_split
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.trained import data_edits, read_run_config

    folder = RunFolder(arguments.target)
    config = read_run_config(folder, GanConfig)
    if arguments.real not in (None, "train", "test", "held-out"):
        raise UserError(
            f"--real {arguments.real}: a run is scored against its own data, choose train, test or held-out"
        )
    for flag, value in {"--image-size": arguments.image_size, "--real-split": arguments.real_split}.items():
        if value is not None:
            raise UserError(f"{flag} is for images: a run has its own size, and --real train, test or held-out")
    score = _with_flags(config.score, arguments, score_every=1, **_protocol_of_run(arguments, config.score))
    data = _with_flags(config.data, arguments)
    weights = find_weights(score, data)
    allowed = arguments.allow_changed
    trained = load_generator(folder, arguments.checkpoint, own_network(arguments, "generator"), allow_changed=allowed)
    accelerator = meet(Accelerator)
    config = replace(config, data=data, score=score)  # refuses held-out images where the run set none aside
    split = load_split(data, "train", accelerator)
    training, held_out = training_images(config, split)
    real = real_images(config, split, held_out, accelerator)
    edits = [*trained.edits, *data_edits(trained, training.digest, allow_changed=allowed)]
    seed, averaged = config.run.seed if arguments.seed is None else arguments.seed, config.training.ema > 0
    dim, classes = config.networks.latent_dim, saved_classes(trained.facts)
    by_class = bool(arguments.by_class)
    scorer = GanScorer(
        score, real, weights, data.data_root, dim, seed, averaged, accelerator, classes=classes, by_class=by_class
    )
    scorer.prepare()
    entry = scorer.entry(trained.network.to(accelerator.device), trained.facts["step"])
    accelerator.wait_for_everyone()  # no process closes connections that another still uses
    accelerator.end_training()
    edits = [*trained.notes, *edits]
    changed = [*trained.facts.get("changed", []), *(f"scored although {edit}" for edit in edits)]
    return entry | {"changed": changed} if entry else {}


def _protocol_of_run(arguments: argparse.Namespace, score: GanScoreSettings) -> dict[str, Any]:
    """The protocol, and what it decides where no flag does; a flag alone makes a run's protocol a custom one."""
    flags = {
        "score_samples": arguments.score_samples,
        "real_split": arguments.real,
        "real_images": arguments.real_images,
        "is_splits": arguments.is_splits,
        "resize": arguments.resize,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    if arguments.protocol in (None, CUSTOM):
        return {"protocol": CUSTOM if given or arguments.protocol else score.protocol} | given
    unset = {f.name: f.default for f in fields(score) if f.name in flags}
    return {"protocol": arguments.protocol} | unset | given


def _with_flags(settings: Group, arguments: argparse.Namespace, **more: Any) -> Group:
    """The settings, with the values of the flags that were given."""
    given = {f.name: getattr(arguments, f.name, None) for f in fields(settings)}  # type: ignore[arg-type]
    return replace(settings, **{name: value for name, value in given.items() if value is not None} | more)  # type: ignore[type-var]


def _score_images(arguments: argparse.Namespace) -> dict[str, Any]:
    from accelerate import Accelerator

    from mmgan.process.accelerator import main_process_first
    from mmgan.process.meeting import meet
    from mmgan.scoring import (
        InceptionExtractor,
        Processes,
        ScoreSettings,
        extractor_source,
        open_images,
        score_entry,
        score_sets,
    )
    from mmgan.storage import cache_folder

    name = arguments.extractor or "inception"
    if name == "classifier":
        raise UserError("--extractor classifier judges runs: score other images with the FID Inception or another")
    for flag, value in {
        "--generator": arguments.generator,
        "--samples": arguments.score_samples,
        "--real-images": arguments.real_images,
        "--seed": arguments.seed,
    }.items():
        if value is not None:
            raise UserError(f"{flag} is for runs: all images of both sides are scored")
    protocol = arguments.protocol or CUSTOM
    source = extractor_source(name, arguments.resize)
    weights = source.find(arguments.extractor_weights, download=arguments.download)
    accelerator = meet(Accelerator)
    with main_process_first(accelerator):  # the first downloads for all
        root, download = arguments.data_root or DataSettings().data_root, arguments.download
        places = {"image_size": arguments.image_size, "data_root": root, "download": download}
        fakes = open_images(arguments.target, **places)
        reals = open_images(arguments.real, split=_real_split(arguments, protocol), **places)
    splits = _check_protocol(protocol, arguments, fakes.count, reals)
    settings = ScoreSettings(
        splits=splits,
        prc=bool(arguments.precision_recall),
        density=bool(arguments.density_coverage),
        infinite=bool(arguments.fd_infinite),
        mmd=bool(arguments.mmd),
        intervals=bool(arguments.intervals),
    )
    # The Inception as it stands gives bitwise torch-fidelity's features.
    plain = name == "inception" and arguments.resize in (None, "tf1")
    device = accelerator.device
    extractor = InceptionExtractor(weights, device, fast=False) if plain else source.build(weights, device)
    found = score_sets(
        fakes,
        reals,
        extractor,
        settings,
        Processes.of(accelerator),
        by_class=bool(arguments.by_class),
        cache_dir=cache_folder() / "features",
    )
    accelerator.wait_for_everyone()  # no process closes connections that another still uses
    accelerator.end_training()
    if found is None:
        return {}
    return score_entry(
        found.scores,
        settings,
        extractor,
        samples=fakes.count,
        real=reals.name,
        split=reals.split,
        reals=reals.count,
        device=device,
        protocol=protocol,
        classes=found.classes,
    )


def _real_split(arguments: argparse.Namespace, protocol: str) -> str | None:
    """The split of the real images, where they are a data set."""
    if protocol == CUSTOM or arguments.real_split is not None:
        split: str | None = arguments.real_split
        return split
    return PROTOCOLS[protocol].real_split


def _check_protocol(protocol: str, arguments: argparse.Namespace, samples: int, reals: "ImageSet") -> int:
    """The splits of the class score; refuse images that are not the protocol's."""
    given: int | None = arguments.is_splits
    if protocol == CUSTOM:
        return 10 if given is None else given
    wanted = PROTOCOLS[protocol]
    if arguments.resize is not None:
        raise UserError(f"--protocol {protocol} resizes as the extractor does: leave out --resize {arguments.resize}")
    found = {"samples": samples, "real images": reals.count, "splits": wanted.is_splits if given is None else given}
    right = {"samples": wanted.score_samples, "real images": wanted.real_images, "splits": wanted.is_splits}
    for what, count in found.items():
        if count != right[what]:
            raise UserError(
                f"--protocol {protocol} has {right[what]:,} {what}, not {count:,}: choose --protocol {CUSTOM}"
            )
    if reals.images is not None and reals.split != wanted.real_split:
        raise UserError(f"--protocol {protocol} is against the {wanted.real_split} split, not {reals.split}")
    return wanted.is_splits
