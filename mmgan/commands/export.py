"""`mmgan export RUN`: a run's generator in a folder of its own, to load, share or upload."""

from collections.abc import Sequence
from pathlib import Path

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.process.program import program

DESCRIPTION = (
    "Write a run's generator into a folder of its own: model.safetensors, config.json, a model card (README.md) with"
    " scores, samples and settings, and a sample grid. mmgan.load_generator(FOLDER) reads it back, bit for bit."
)


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="mmgan export", description=DESCRIPTION)
    parser.add_argument("run", help="run folder of a GAN")
    parser.add_argument("--out", required=True, metavar="DIR", help="the new folder")
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    parser.add_argument(
        "--license", default="unknown", help="licence of the weights, for the model card, as in mit (default: unknown)"
    )
    parser.add_argument(
        "--push", metavar="OWNER/NAME", help="also upload the folder to this repository of the Hugging Face hub"
    )
    add_own_network(parser, "generator")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)

    from mmgan.gan.export import export_generator
    from mmgan.gan.hub import check_push, push
    from mmgan.runs.folder import RunFolder

    if arguments.push is not None:
        check_push(arguments.push)
    folder, own = RunFolder(arguments.run), own_network(arguments, "generator")
    files = export_generator(folder, arguments.checkpoint, Path(arguments.out), arguments.license, own)
    for file in files:
        print(file)
    if arguments.license == "unknown":
        print("the model card says 'license: unknown': --license names one")
    if arguments.push is not None:
        print(push(files, arguments.push))
