"""`mmgan sample RUN`: images from a run's generator."""

from collections.abc import Sequence
from pathlib import Path

from mmgan.commands.arguments import Parser, add_own_network, own_network
from mmgan.config.fields import check_range
from mmgan.errors import UserError
from mmgan.process.program import program


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="mmgan sample", description="Write images from a run's generator.")
    parser.add_argument("run", help="run folder")
    parser.add_argument("--count", type=int, help="number of images (default: 64, or a grid with a class a row)")
    parser.add_argument(
        "--out", help="a folder for one PNG an image; without it one grid is written into the run folder"
    )
    parser.add_argument("--checkpoint", default="last", help="last, best, or a checkpoint's name (default: last)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default: 0)")
    parser.add_argument(
        "--truncation", type=float, help="draw latents from a normal law that is cut at this many deviations"
    )
    parser.add_argument(
        "--interpolate",
        type=int,
        metavar="FRAMES",
        help="a grid and an animation instead: this many images from each of --count latents to the next; --out names"
        " the animation, a .gif or .png file",
    )
    parser.add_argument(
        "--class", dest="only", help="of a conditional run: name or number, from 0, of the class (default: all of them)"
    )
    add_own_network(parser, "generator")
    parser.add_argument(
        "--allow-changed", action="store_true", help="accept a config.yaml other than that of the checkpoint"
    )
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    check_range(arguments, "count", least=1)
    check_range(arguments, "truncation", above=0)
    check_range(arguments, "interpolate", least=2)
    out = Path(arguments.out) if arguments.out else None
    count = 64 if arguments.count is None else arguments.count
    if arguments.interpolate is not None:
        _check_animation(count, out)
    elif out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: name another with --out")

    from torchvision.transforms.functional import to_pil_image
    from tqdm.auto import tqdm

    from mmgan.gan.classes import saved_classes
    from mmgan.gan.latents import Truncated, closed_path
    from mmgan.gan.networks import load_generator
    from mmgan.gan.samples import OfClass, run_source, sample_grid
    from mmgan.memory import check_fits
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.pictures import save_animation, save_grid
    from mmgan.scoring import images_of, latents
    from mmgan.storage import storing

    folder = RunFolder(arguments.run)
    own = own_network(arguments, "generator")
    trained = load_generator(folder, arguments.checkpoint, own, allow_changed=arguments.allow_changed)
    classes = saved_classes(trained.facts)
    if classes is None and arguments.only is not None:
        raise UserError(f"--class {arguments.only}: {folder.path} is not a conditional run, so leave --class out")
    only = None if classes is None or arguments.only is None else classes.index_of(arguments.only)
    if arguments.interpolate is not None and classes is not None and only is None:
        raise UserError("--interpolate of a conditional run keeps to one class: name it with --class")
    dim = trained.facts["settings"]["latent_dim"]
    generator, limit = trained.network, arguments.truncation
    if limit is not None:
        generator = Truncated(generator, limit)
    source = run_source(generator, dim, arguments.seed, "cpu", classes, only)
    print(f"{trained.checkpoint}, step {trained.facts['step']}")
    for note in trained.notes:
        print(f"note: since the run {note}")
    cut = "" if limit is None else f"-truncation{limit:g}"
    of_class = "" if only is None else f"-class{only}"
    stem, marks = f"{trained.checkpoint.name}-seed{arguments.seed}", f"{of_class}{cut}"
    if out is None or arguments.interpolate is not None:
        shown = count * (arguments.interpolate or 1)
        need = shown * trained.facts["channels"] * trained.facts["image_size"] ** 2
        check_fits(need, f"{shown:,} images in one picture", "--count or --interpolate")
    if arguments.interpolate is not None:
        path = closed_path(latents(0, count, dim, arguments.seed), arguments.interpolate)
        images = images_of(generator if only is None else OfClass(generator, only), path)
        grid = folder.samples / f"{stem}-{count}{marks}-interpolation.png"
        save_grid(images, grid, arguments.interpolate)
        animation = grid.with_suffix(".gif") if out is None else out
        save_animation(images, animation)
        print(f"{grid}\n{animation}")
        return
    if out is None:
        if only is None and arguments.count is None:
            images, columns = sample_grid(generator, dim, arguments.seed, "cpu", classes)
        else:
            images, columns = source(0, count), None
        place = folder.samples / f"{stem}-{len(images)}{marks}.png"
        save_grid(images, place, columns)
        print(place)
        return
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        with tqdm(total=count, unit="image", leave=False) as bar:
            for first in range(0, count, 100):
                for i, image in enumerate(source(first, min(100, count - first)), first):
                    to_pil_image(image).save(out / f"{i:06d}.png")
                    bar.update()
    print(f"{count} images in {out}")


def _check_animation(count: int, out: Path | None) -> None:
    if count < 2:
        raise UserError(f"--count {count} leaves nothing to interpolate between: name 2 latents or more")
    if out is not None and out.suffix not in (".gif", ".png"):
        raise UserError(f"--out {out} is no animation: with --interpolate name a .gif or .png file")
    if out is not None and out.exists():
        raise UserError(f"{out} exists already: name another with --out")
