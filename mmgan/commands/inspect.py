"""`mmgan inspect RUN | FILE.py:NAME`: which modules of a network can be mixed at."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmgan.commands.arguments import Parser
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.errors import UserError
from mmgan.process.program import program

if TYPE_CHECKING:
    from torch import nn


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="mmgan inspect",
        description="List the modules of a network in the order in which they run: which are cuts, where rows can be"
        " mixed, and in which modes; why others are not; and the share of the multiply-adds before each. Naming a file"
        " runs its code.",
    )
    parser.add_argument("network", help="a run folder, or FILE.py:NAME or package.module:NAME of a class or function")
    parser.add_argument("--input", help="shape of one row, as in 3,32,32 (needed for a file's network)")
    parser.add_argument("--classes", type=int, help="pass class indices below this number as the second input")
    parser.add_argument("--condition", help="pass a floating-point second input of this shape a row, as in 128")
    parser.add_argument("--args", default="{}", help="JSON object of arguments for the class or function")
    parser.add_argument("--pick", help="index, key or attribute that takes the logits from what the network returns")
    parser.add_argument("--batch", type=int, default=8, help="rows to try it with (default: 8)")
    parser.add_argument("--all", action="store_true", help="show the modules that are no cuts too, and why")
    parser.add_argument("--eval", action="store_true", help="look at it in evaluation mode")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    if arguments.batch < 2:
        raise UserError(f"--batch {arguments.batch} is out of range: rows are compared, so it must be at least 2")

    import torch

    from mmgan.faults import user_code
    from mmgan.mixing import Mixed
    from mmgan.networks.pick import Pick

    network, shape, classes = _network(arguments.network, arguments.input, _json(arguments.args))
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(arguments.batch, *shape, generator=generator) * 2 - 1]
    if classes := arguments.classes or classes:
        inputs.append(torch.randint(classes, (arguments.batch,), generator=generator))
    if arguments.condition:
        inputs.append(torch.randn(arguments.batch, *_shape("--condition", arguments.condition), generator=generator))
    pick = Pick(arguments.pick) if arguments.pick is not None else None
    with user_code(arguments.network, "when it was called"):
        table = Mixed(network.train(not arguments.eval), "none", pick=pick).inspect(*inputs)
    print(table if arguments.all else table.only_cuts())
    if not arguments.all:
        others = len(table.places) - len(table.cuts)
        print(f"{len(table.cuts)} cuts; {others} other modules, which --all shows with the reasons")


def _network(name: str, row: str | None, more: Mapping[str, Any]) -> "tuple[nn.Module, tuple[int, ...], int | None]":
    """The network, the shape of one row, and the number of classes where it takes those of its rows."""
    if ":" in name:
        from mmgan.networks.own import call_factory, find_factory

        if row is None:
            raise UserError("--input is needed for a network from a file: the shape of one row, as in --input 3,32,32")
        shape = _shape("--input", row)
        offered = {"image_size": shape[-1], "channels": shape[0], "classes": None, "latent_dim": None}
        known = {key: value for key, value in offered.items() if value is not None}
        return call_factory(name, find_factory(name), known, more), shape, None
    return _network_of_run(name)


def _network_of_run(folder_name: str) -> "tuple[nn.Module, tuple[int, ...], int | None]":
    """The discriminator or classifier that a run's settings describe, for the images that it was trained on."""
    from mmgan.gan.classes import saved_classes
    from mmgan.gan.networks import build_networks
    from mmgan.runs.checkpoints import find_checkpoint
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.loading import read_facts
    from mmgan.runs.trained import read_run_config
    from mmgan.supervised.networks import build_network

    folder = RunFolder(folder_name)
    is_gan = GanConfig.MARK in folder.read_config()
    facts = read_facts(find_checkpoint(folder.checkpoints, "last"))
    shape = {"channels": facts["channels"], "image_size": facts["image_size"]}
    classes = saved_classes(facts)
    count = None if classes is None else len(classes)
    if is_gan:
        config = read_run_config(folder, GanConfig)
        if own := config.own.discriminator:
            size = ",".join(str(facts[name]) for name in ("channels", "image_size", "image_size"))
            raise UserError(
                f"{folder_name} has a discriminator of your own, {own}, and mmgan runs no code that a run names: name"
                f" the code instead, mmgan inspect {own} --input {size}"
            )
        _, network = build_networks(config.networks, **shape, seed=0, classes=count)
    else:
        settings = read_run_config(folder, ClassifierConfig).network
        network = build_network(settings, classes=facts["classes"], **shape, seed=0)
    return network, (facts["channels"], facts["image_size"], facts["image_size"]), count


def _shape(flag: str, text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UserError(f"{flag} {text} is not a shape: write whole numbers with commas between, as in 3,32,32")
    return shape


def _json(text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UserError(f"--args is not JSON ({error}): write an object, as in '{{\"width\": 64}}'") from None
    if not isinstance(values, dict):
        raise UserError("--args must be a JSON object, as in '{\"width\": 64}'")
    return values
