"""`mmgan scores compare A B...`: scores side by side, where they may stand side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgan.commands.arguments import Parser
from mmgan.errors import UserError
from mmgan.process.program import program


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="mmgan scores",
        description="Compare scores of generated images. Scores that differ in extractor, weights, real images,"
        " numbers, protocol or settings are refused, and every difference is named.",
    )
    parser.add_argument("action", choices=["compare"], help="compare: print them side by side, with differences")
    parser.add_argument(
        "scores",
        nargs="+",
        metavar="FILE-or-RUN",
        help="a file of `mmgan score --json`, or a run folder",
    )
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    places = list(dict.fromkeys(arguments.scores))
    if len(places) < 2:
        raise UserError("give two or more different files or runs to compare")
    from mmgan.report.score_text import compare_text  # here, so that --help does not wait for torch

    print(compare_text({place: read_entry(Path(place)) for place in places}))


def read_entry(path: Path) -> Mapping[str, Any]:
    """The last scores of a run, or those that `mmgan score --json` wrote.

    Raises:
        UserError: if there are none, or they are not scores of generated images.
    """
    from mmgan.report.entries import metrics_of
    from mmgan.runs.folder import RunFolder
    from mmgan.runs.structure import GENERATED, fault_in, read_json

    file = path / "scores.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no file {file}: name a run that was scored, or a file of `mmgan score --json`")
    try:
        found = RunFolder(path).read_scores() if path.is_dir() else read_json(file.read_bytes())
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"{file} is not a JSON file: {' '.join(str(error).split())}") from None
    entry: Any = found.get("last", found) if isinstance(found, dict) else None
    if fault_in(entry, GENERATED) is not None or not metrics_of(entry):
        raise UserError(f"{file} holds no scores of generated images: score the run again")
    of: Mapping[str, Any] = entry
    return of
