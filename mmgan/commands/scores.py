"""`mmgan scores compare A B...`: scores side by side, where they may stand side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgan.commands.arguments import Parser
from mmgan.errors import UserError
from mmgan.process.program import program


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
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
    arguments = parser.parse_args(argv)
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
    from mmgan.runs.folder import RunFolder

    file = path / "scores.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no file {file}: name a run that was scored, or a file of `mmgan score --json`")
    try:
        found = RunFolder(path).read_scores() if path.is_dir() else json.loads(file.read_bytes())
    except UserError:
        raise
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{file} is not a JSON file: {' '.join(str(error).split())}") from None
    entry: Any = found.get("last", found) if isinstance(found, dict) else None
    if not _is_entry(entry):
        raise UserError(f"{file} holds no scores of generated images: score the run again")
    of: Mapping[str, Any] = entry
    return of


def _is_entry(entry: Any) -> bool:
    """Whether it has the parts that a comparison reads."""
    from mmgan.report.entries import is_generated, metrics_of

    if not isinstance(entry, dict) or not is_generated(entry):
        return False
    parts = {"scores": dict, "extractor": dict, "real": dict, "settings": dict, "samples": int}
    if not all(isinstance(entry.get(name), kind) for name, kind in parts.items()):
        return False
    keys = {"extractor": ("name", "digest"), "real": ("name", "split", "images")}
    if not all(key in entry[part] for part, names in keys.items() for key in names):
        return False
    numbers = all(value is None or isinstance(value, int | float) for value in entry["scores"].values())
    means = [name.removesuffix("_mean") for name in entry["scores"] if name.endswith("_mean")]
    deviations = all(f"{name}_std" in entry["scores"] for name in means)
    counted = isinstance(entry["real"]["images"], int) and isinstance(entry.get("step"), int | None)
    return numbers and deviations and counted and bool(metrics_of(entry))
