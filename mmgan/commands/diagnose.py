"""`mmgan diagnose RUN`: what training did to a run's discriminator."""

from collections.abc import Sequence
from dataclasses import replace

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.config.gan import GanConfig
from mmgan.errors import UserError
from mmgan.process.program import program

DESCRIPTION = (
    "Diagnose a run's discriminator: its logits on training images, on held-out real images and on fakes, and the"
    " overfitting measure r of ADA; D from a fake image to a real one at each layer, against the straight line; the"
    " norm of its gradient; the calibration of sigmoid(D). Writes diagnosis.json and a picture into the run folder."
)


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="mmgan diagnose", description=DESCRIPTION)
    parser.add_argument("run", help="run folder of a GAN")
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    parser.add_argument(
        "--held-out",
        choices=["holdout", "test"],
        default="holdout",
        help="real images that D never saw: those of the run's --holdout, or the test images (default: holdout)",
    )
    for role in ("generator", "discriminator"):
        add_own_network(parser, role)
    parser.add_argument("--data-root", help="folder that holds the data sets; unset: the run's")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)

    import torch

    from mmgan.faults import user_code
    from mmgan.gan.build import make_diagnoser, training_images
    from mmgan.gan.networks import load_both
    from mmgan.gan.own import OwnNetworks
    from mmgan.report.diagnosis import diagnosis_line
    from mmgan.report.diagnosis_picture import diagnosis_picture
    from mmgan.runs.data import read_split
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.trained import read_run_config

    folder = RunFolder(arguments.run)
    config = read_run_config(folder, GanConfig)
    data = config.data if arguments.data_root is None else replace(config.data, data_root=arguments.data_root)
    own = OwnNetworks(own_network(arguments, "generator"), own_network(arguments, "discriminator"))
    generator, discriminator, pick = load_both(folder, arguments.checkpoint, own)
    facts = discriminator.facts
    train, held_out = training_images(config, read_split(data, "train"))
    if train.digest != facts.get("data_digest"):
        raise UserError(f"the training images are not those of {folder.path}: name its data set's folder, --data-root")
    if arguments.held_out == "test":
        held_out = read_split(data, "test")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    diagnoser = make_diagnoser(config, train, held_out, device)
    networks = generator.network.to(device), discriminator.network.to(device)
    with user_code(own.places or str(folder.path), "when it was diagnosed"):
        entry = diagnoser.entry(*networks, step=facts["step"], pick=pick)
    path = folder.note_diagnosis(entry, diagnosis_picture(entry))
    print(f"{discriminator.checkpoint}, step {facts['step']}")
    for line in (*generator.notes, *discriminator.notes):
        print(f"note: since the run {line}")
    print(diagnosis_line(entry))
    print(path)
