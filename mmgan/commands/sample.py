"""`mmgan sample RUN`: images from a run's generator."""

from collections.abc import Sequence
from pathlib import Path

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.config.fields import check_range
from mmgan.errors import UserError
from mmgan.process.program import program


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = Parser(prog="mmgan sample", description="Write images from a run's generator.")
    parser.add_argument("run", help="run folder")
    parser.add_argument("--count", type=int, default=64, help="number of images (default: 64)")
    parser.add_argument(
        "--out", help="a folder for one PNG an image; without it one grid is written into the run folder"
    )
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default: 0)")
    add_own_network(parser, "generator")
    arguments = parser.parse_args(argv)
    check_range(arguments, "count", least=1)
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: name another with --out")

    from torchvision.transforms.functional import to_pil_image
    from tqdm.auto import tqdm

    from mmgan.gan.networks import load_generator
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.pictures import save_grid
    from mmgan.scoring import image_source
    from mmgan.storage import storing

    folder = RunFolder(arguments.run)
    trained = load_generator(folder, arguments.checkpoint, own_network(arguments, "generator"))
    source = image_source(trained.network, trained.facts["settings"]["latent_dim"], arguments.seed)
    print(f"{trained.checkpoint}, step {trained.facts['step']}")
    for note in trained.notes:
        print(f"note: since the run {note}")
    if out is None:
        place = folder.samples / f"{trained.checkpoint.name}-seed{arguments.seed}-{arguments.count}.png"
        save_grid(source(0, arguments.count), place)
        print(place)
        return
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        for first in tqdm(range(0, arguments.count, 100), unit="hundred", leave=False):
            for i, image in enumerate(source(first, min(100, arguments.count - first)), first):
                to_pil_image(image).save(out / f"{i:06d}.png")
    print(f"{arguments.count} images in {out}")
