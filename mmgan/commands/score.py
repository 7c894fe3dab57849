"""`mmgan score`: IS, FID and KID of a run, or of one folder of images against another."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.config.fields import SettingsGroup
from mmgan.config.gan import GanConfig
from mmgan.errors import UserError
from mmgan.process.program import program

Group = TypeVar("Group", bound=SettingsGroup)

MEASURES = {
    "precision_recall": "precision and recall",
    "density_coverage": "density and coverage",
    "fd_infinite": "the Frechet distance extrapolated to infinitely many samples",
    "mmd": "the maximum mean discrepancy with a Gaussian kernel",
    "intervals": "95 %% intervals of all scores but IS and KID",
}
"""Flags that ask for more than IS, FID and KID."""


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = _parser().parse_args(argv)
    target = Path(arguments.target)
    if not target.is_dir():
        raise UserError(f"{target} is not a folder: name a run folder, or a folder of images with --real FOLDER")
    is_run = (target / "config.yaml").is_file()
    if not is_run and arguments.real is None:
        raise UserError(f"{target} is a folder of images (no config.yaml): name the real ones with --real FOLDER")
    entry = _score_run(arguments) if is_run else _score_folder(arguments)
    if not entry:
        return  # only the main process has the scores

    from mmgan.gan.scores import one_line
    from mmgan.storage import write_atomically

    print(one_line(entry))
    real = entry["real"]
    print(f"real: {real['images']:,} images of {real['name']} ({real['split']})")
    for note in entry["notes"]:
        print(f"note: {note}")
    if arguments.json:
        write_atomically(Path(arguments.json), json.dumps(entry, indent=2, allow_nan=False) + "\n")
        print(arguments.json)


def _parser() -> Parser:
    parser = Parser(
        prog="mmgan score",
        description="IS, FID and KID of a run's generator, or of a folder of images against another. The settings that"
        " are not given are the run's own. Two folders are scored by the FID Inception, with the numbers of"
        " torch-fidelity's command, or by the extractor that is named.",
    )
    parser.add_argument("target", metavar="RUN-or-FOLDER", help="a run folder, or a folder of PNG or JPEG images")
    parser.add_argument(
        "--real", metavar="NAME", help="for a run: train or test; for a folder: the folder of real images"
    )
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    add_own_network(parser, "generator")
    parser.add_argument("--samples", dest="score_samples", type=int, help="generated images; unset: as the run scores")
    parser.add_argument("--seed", type=int, help="of the latents; unset: the run's")
    parser.add_argument("--is-splits", type=int, help="splits of the Inception score; unset: the run's, or 10")
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
    parser.add_argument("--data-root", help="folder that holds the data sets; unset: the run's")
    parser.add_argument("--download", action="store_true", help="fetch the extractor's weights where they are absent")
    parser.add_argument("--json", metavar="FILE", help="write the scores with all that they depend on")
    return parser


def _score_run(arguments: argparse.Namespace) -> dict[str, Any]:
    from accelerate import Accelerator

    from mmgan.gan.networks import load_generator
    from mmgan.gan.scores import GanScorer, find_weights
    from mmgan.runs.data import load_split
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.trained import read_run_config

    folder = RunFolder(arguments.target)
    config = read_run_config(folder, GanConfig)
    if arguments.real not in (None, "train", "test"):
        raise UserError(f"--real {arguments.real}: a run is scored against its own data, choose train or test")
    score = _with_flags(config.score, arguments, score_every=1, real_split=arguments.real or config.score.real_split)
    data = _with_flags(config.data, arguments)
    weights = find_weights(score, data)
    trained = load_generator(folder, arguments.checkpoint, own_network(arguments, "generator"))
    accelerator = Accelerator()
    real = load_split(data, score.real_split, accelerator)
    seed, averaged = config.run.seed if arguments.seed is None else arguments.seed, config.training.ema > 0
    scorer = GanScorer(score, real, weights, data.data_root, config.networks.latent_dim, seed, averaged, accelerator)
    scorer.prepare()
    entry = scorer.entry(trained.network.to(accelerator.device), trained.facts["step"])
    accelerator.wait_for_everyone()  # no process closes connections that another still uses
    accelerator.end_training()
    changed = [*trained.facts.get("changed", []), *(f"scored although {note}" for note in trained.notes)]
    return entry | {"changed": changed} if entry else {}


def _with_flags(settings: Group, arguments: argparse.Namespace, **more: Any) -> Group:
    """The settings, with the values of the flags that were given."""
    given = {f.name: getattr(arguments, f.name, None) for f in fields(settings)}  # type: ignore[arg-type]
    return replace(settings, **{name: value for name, value in given.items() if value is not None} | more)  # type: ignore[type-var]


def _score_folder(arguments: argparse.Namespace) -> dict[str, Any]:
    from mmgan.scoring import InceptionExtractor, ScoreSettings, extractor_source, score_entry, score_folders

    name = arguments.extractor or "inception"
    if name == "classifier":
        raise UserError(
            "--extractor classifier judges runs: score two folders with the FID Inception or another network"
        )
    for flag, value in {
        "--generator": arguments.generator,
        "--samples": arguments.score_samples,
        "--seed": arguments.seed,
        "--data-root": arguments.data_root,
    }.items():
        if value is not None:
            raise UserError(f"{flag} is for runs: the images of two folders are scored as they are")
    source = extractor_source(name)
    weights = source.find(arguments.extractor_weights, download=arguments.download)
    settings = ScoreSettings(
        splits=10 if arguments.is_splits is None else arguments.is_splits,
        prc=bool(arguments.precision_recall),
        density=bool(arguments.density_coverage),
        infinite=bool(arguments.fd_infinite),
        mmd=bool(arguments.mmd),
        intervals=bool(arguments.intervals),
    )
    # The unchanged Inception gives torch-fidelity's features bit for bit.
    extractor = InceptionExtractor(weights, fast=False) if name == "inception" else source.build(weights, "cpu")
    scores, fakes, reals = score_folders(arguments.target, arguments.real, extractor, settings)
    return score_entry(
        scores, settings, extractor, samples=fakes, real=arguments.real, split="folder", reals=reals, device="cpu"
    )
